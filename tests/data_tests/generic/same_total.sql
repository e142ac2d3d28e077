{#-
  Fails where an aggregate of this model differs from an aggregate of another relation, or of its
  rows under a condition: what goes in comes out. Money is compared to the cent. Where an attribution
  model is named that is not computed, nothing goes in.
-#}
{% test same_total(
    model, expression, to, to_expression, to_condition='true', attribution_model=none
) %}
with totals as (

    select
        (select {{ expression }} from {{ model }}) as total,
        (
            select {{ to_expression }}
            from {{ to }}
            where
                {{ to_condition }}
                {%- if attribution_model %} and {{ is_computed(attribution_model) }}{% endif %}
        ) as expected

)

select *
from totals
where ({{ is_same_money('total', 'expected') }}) is not true
{% endtest %}

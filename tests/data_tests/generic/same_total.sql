{#-
  Fails where an aggregate of this model differs from an aggregate of another relation: what goes
  in comes out. Money is compared to the cent.
-#}
{% test same_total(model, expression, to, to_expression) %}
with totals as (

    select
        (select {{ expression }} from {{ model }}) as total,
        (select {{ to_expression }} from {{ to }}) as expected

)

select *
from totals
where ({{ is_same_money('total', 'expected') }}) is not true
{% endtest %}

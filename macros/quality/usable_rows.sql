{#-
  The rows of an entity that can be used, each id once. A row of spend without an id stands for itself.
-#}
{% macro usable_rows(entity, columns) %}
with checked as (

    select * from {{ ref('int_' ~ entity ~ '_checked') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by source, {{ entities()[entity].key }}
            order by {{ delivery_order(entity) }}
        ) as delivery_number
    from checked
    where rejection_reason is null

),

final as (

    select
        {{ columns | join(',\n        ') }}
    from ranked
    where delivery_number = 1{{ ' or spend_id is null' if entity == 'spend' }}

)

select * from final
{% endmacro %}

{#-
  The rows of an entity that can be used, each id once: of several rows with one id the first by
  delivery_order. Rows whose id no other has, nearly all, pass without being sorted. A row of spend
  without an id stands for itself. The checked rows are named in two CTEs: one would be stored whole.
-#}
{% macro usable_rows(entity, columns) %}
{%- set key = entities()[entity].key %}
with repeated_keys as (

    select
        source,
        entity_key
    from {{ ref('int_repeated_keys') }}
    where entity = '{{ entity }}'

),

single as (

    select delivered.*
    from {{ ref('int_' ~ entity ~ '_checked') }} as delivered
    left join repeated_keys
        on
            delivered.source = repeated_keys.source
            and delivered.{{ key }} = repeated_keys.entity_key
    where
        delivered.rejection_reason is null
        and repeated_keys.entity_key is null

),

ranked as (

    select
        delivered.*,
        row_number() over (
            partition by delivered.source, delivered.{{ key }}
            order by {{ delivery_order(entity) }}
        ) as delivery_number
    from {{ ref('int_' ~ entity ~ '_checked') }} as delivered
    inner join repeated_keys
        on
            delivered.source = repeated_keys.source
            and delivered.{{ key }} = repeated_keys.entity_key
    where delivered.rejection_reason is null

),

final as (

    select
        {{ columns | join(',\n        ') }}
    from single
    union all
    select
        {{ columns | join(',\n        ') }}
    from ranked
    where delivery_number = 1

)

select * from final
{% endmacro %}

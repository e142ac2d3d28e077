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

    select checked.*
    from {{ ref('int_' ~ entity ~ '_checked') }} as checked
    left join repeated_keys
        on
            checked.source = repeated_keys.source
            and checked.{{ key }} = repeated_keys.entity_key
    where
        checked.rejection_reason is null
        and repeated_keys.entity_key is null

),

ranked as (

    select
        checked.*,
        row_number() over (
            partition by checked.source, checked.{{ key }}
            order by {{ delivery_order(entity) }}
        ) as delivery_number
    from {{ ref('int_' ~ entity ~ '_checked') }} as checked
    inner join repeated_keys
        on
            checked.source = repeated_keys.source
            and checked.{{ key }} = repeated_keys.entity_key
    where checked.rejection_reason is null

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

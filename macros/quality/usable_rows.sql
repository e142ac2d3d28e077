{#-
  The rows of an entity that can be used, each id once: of several rows with one id the first by
  delivery_order. Rows whose id no other has, nearly all, pass without being sorted; is_repeated tells
  the others. A row of spend without an id stands for itself. Sessions are looked up by a number: should
  another id share it, it is ranked for itself. No CTE is read twice: DuckDB would store it, and then
  read every column of what is joined to it. One condition asks for both: of every condition DuckDB
  expects that four rows in five fail it, and would hold all these rows for a join, as the shorter side.
-#}
{% macro usable_rows(entity, columns) %}
{%- set key = entities()[entity].key %}
{%- set looked_up_by = {'session_key': 'session_key'} if entity == 'sessions'
    else {'source': 'source', 'entity_key': key} %}
{%- set repeated_keys %}(
        select distinct {{ looked_up_by.keys() | join(', ') }}
        from {{ ref('int_repeated_keys') }}
        where entity = '{{ entity }}'
    ) as repeated_keys
{%- endset %}
with single as (

    select
        delivered.*,
        false as is_repeated
    from {{ ref('int_' ~ entity ~ '_checked') }} as delivered
    left join {{ repeated_keys }}
        on
            {% for column, own in looked_up_by.items() -%}
            delivered.{{ own }} = repeated_keys.{{ column }}{{ ' and ' if not loop.last }}
            {%- endfor %}
    where
        coalesce(
            delivered.rejection_reason,
            cast(repeated_keys.{{ looked_up_by.keys() | last }} as varchar)
        ) is null

),

ranked as (

    select
        delivered.*,
        true as is_repeated,
        row_number() over (
            partition by delivered.source, delivered.{{ key }}
            order by {{ delivery_order(entity) }}
        ) as delivery_number
    from {{ ref('int_' ~ entity ~ '_checked') }} as delivered
    inner join {{ repeated_keys }}
        on
            {% for column, own in looked_up_by.items() -%}
            delivered.{{ own }} = repeated_keys.{{ column }}{{ ' and ' if not loop.last }}
            {%- endfor %}
    {{ join_session_files('delivered') if entity == 'sessions' }}
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

-- grain: one row per delivered row that is not used, with its reason and the row as it came; of a
-- row that may not be kept, the reason and the amount. Of several rows with one id all but one are:
-- repeated where they say the same, else superseded. Of sessions these show what was read of them.
{{ config(schema='restricted') }}

with unusable as (

    {% for entity, columns in entities().items() %}
    select
        source,
        '{{ entity }}' as entity,
        case
            when rejection_reason not in {{ reasons_that_keep_nothing() }}
                then {{ key_of_a_rejected_row(entity) }}
        end as entity_key,
        rejection_reason,
        {{ delivered_amount(entity) }} as amount,
        case
            when rejection_reason not in {{ reasons_that_keep_nothing() }} then raw_row
        end as raw_row
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is not null
    union all
    {% endfor %}
    select
        source,
        entity,
        cast(null as varchar) as entity_key,
        'malformed_row' as rejection_reason,
        cast(null as decimal(28, 10)) as amount,
        raw_row
    from {{ ref('int_malformed_rows_unioned') }}

),

repeated_keys as (

    select * from {{ ref('int_repeated_keys') }}

),

{% for entity, columns in entities().items() %}
ranked_{{ entity }} as (

    select
        delivered.*,
        coalesce(delivered.raw_row, {{ columns_as_json([columns.key] + columns.content) }})
            as delivered_row,
        row_number() over (
            partition by delivered.source, delivered.{{ columns.key }}
            order by {{ delivery_order(entity) }}, delivered.raw_row
        ) as delivery_number
    from {{ ref('int_' ~ entity ~ '_checked') }} as delivered
    inner join repeated_keys
        on
            delivered.source = repeated_keys.source
            and delivered.{{ columns.key }} = repeated_keys.entity_key
            and repeated_keys.entity = '{{ entity }}'
    {{ join_session_files('delivered') if entity == 'sessions' }}
    where delivered.rejection_reason is null

),

kept_{{ entity }} as (

    select * from ranked_{{ entity }}
    where delivery_number = 1

),

{% endfor %}
final as (

    select * from unusable
    {% for entity, columns in entities().items() %}
    union all
    select
        ranked_{{ entity }}.source,
        '{{ entity }}' as entity,
        ranked_{{ entity }}.{{ columns.key }} as entity_key,
        case
            when {{ has_same_content(entity, 'ranked_' ~ entity, 'kept_' ~ entity) }}
                then 'repeated_row'
            else 'duplicate_id'
        end as rejection_reason,
        {{ delivered_amount(entity, 'ranked_' ~ entity ~ '.') }} as amount,
        ranked_{{ entity }}.delivered_row as raw_row
    from ranked_{{ entity }}
    inner join kept_{{ entity }}
        on
            ranked_{{ entity }}.source = kept_{{ entity }}.source
            and ranked_{{ entity }}.{{ columns.key }} = kept_{{ entity }}.{{ columns.key }}
    where ranked_{{ entity }}.delivery_number > 1
    {% endfor %}

)

select * from final

-- grain: one row per delivered row that is not used, with its reason and the row as it came.
{{ config(schema='restricted') }}

with unusable as (

    {% for entity, columns in entities().items() %}
    select
        source,
        '{{ entity }}' as entity,
        {{ columns.key or 'touchpoint_id' }} as entity_key,
        rejection_reason,
        {{ columns.amount or 'cast(null as decimal(28, 10))' }} as amount,
        raw_row
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

{% for entity, columns in entities().items() if columns.key %}
usable_{{ entity }} as (

    select * from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is null

),

repeated_{{ entity }}_keys as (

    select
        source,
        {{ columns.key }}
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is null
    group by source, {{ columns.key }}
    having count(*) > 1

),

ranked_{{ entity }} as (

    select
        usable_{{ entity }}.*,
        row_number() over (
            partition by usable_{{ entity }}.source, usable_{{ entity }}.{{ columns.key }}
            order by {{ delivery_order(entity) }}, usable_{{ entity }}.raw_row
        ) as delivery_number
    from usable_{{ entity }}
    inner join repeated_{{ entity }}_keys
        on
            usable_{{ entity }}.source = repeated_{{ entity }}_keys.source
            and usable_{{ entity }}.{{ columns.key }} = repeated_{{ entity }}_keys.{{ columns.key }}

),

{% endfor %}
final as (

    select * from unusable
    {% for entity, columns in entities().items() if columns.key %}
    union all
    select
        source,
        '{{ entity }}' as entity,
        {{ columns.key }} as entity_key,
        'duplicate_id' as rejection_reason,
        {{ columns.amount or 'cast(null as decimal(28, 10))' }} as amount,
        raw_row
    from ranked_{{ entity }}
    where delivery_number > 1
    {% endfor %}

)

select * from final

-- grain: one row per delivered row that is not used, with its reason and the row as it came.
{%- set keys = {
    'touchpoints': 'touchpoint_id',
    'conversions': 'conversion_id',
    'spend': 'touchpoint_id'
} %}
{%- set amounts = {
    'touchpoints': 'cast(null as decimal(28, 10))',
    'conversions': 'revenue',
    'spend': 'spend'
} %}

with unusable as (

    {% for entity, key in keys.items() %}
    select
        source,
        '{{ entity }}' as entity,
        {{ key }} as entity_key,
        rejection_reason,
        {{ amounts[entity] }} as amount,
        raw_row
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

{% for entity in ['touchpoints', 'conversions'] %}
{% set key = keys[entity] %}
usable_{{ entity }} as (

    select * from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is null

),

repeated_{{ entity }}_keys as (

    select
        source,
        {{ key }}
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where rejection_reason is null
    group by source, {{ key }}
    having count(*) > 1

),

ranked_{{ entity }} as (

    select
        usable_{{ entity }}.*,
        row_number() over (
            partition by usable_{{ entity }}.source, usable_{{ entity }}.{{ key }}
            order by {{ delivery_order(entity) }}, usable_{{ entity }}.raw_row
        ) as delivery_number
    from usable_{{ entity }}
    inner join repeated_{{ entity }}_keys
        on
            usable_{{ entity }}.source = repeated_{{ entity }}_keys.source
            and usable_{{ entity }}.{{ key }} = repeated_{{ entity }}_keys.{{ key }}

),

{% endfor %}
final as (

    select * from unusable
    {% for entity in ['touchpoints', 'conversions'] %}
    union all
    select
        source,
        '{{ entity }}' as entity,
        {{ keys[entity] }} as entity_key,
        'duplicate_id' as rejection_reason,
        {{ amounts[entity] }} as amount,
        raw_row
    from ranked_{{ entity }}
    where delivery_number > 1
    {% endfor %}

)

select * from final

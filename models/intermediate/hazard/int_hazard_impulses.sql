-- grain: one row per day, conversion type, channel, ordinal and decay. All measures are additive.
-- A touch adds 1 to its feature's mass, which fades; the end of its effect (lookback, or the
-- conversion that uses it up) takes away what is left. Exposure over any period follows from these
-- daily sums alone, so a new day changes no earlier row.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with touchpoints as (

    select * from {{ ref('int_hazard_touchpoints') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

{%- if journey_scope() == 'since_last_conversion' %}

used_up as (

    select
        touchpoints.source,
        touchpoints.touchpoint_id,
        conversions.conversion_type,
        min(conversions.converted_at) as used_up_at
    from touchpoints
    inner join conversions
        on
            touchpoints.source = conversions.source
            and touchpoints.person_id = conversions.person_id
            and conversions.converted_at {{ at_conversion }} touchpoints.touched_at
    group by touchpoints.source, touchpoints.touchpoint_id, conversions.conversion_type

),
{%- endif %}

lasting as (

    -- What ends a touch: null where nothing does.
    select
        conversion_types.conversion_type,
        touchpoints.channel,
        touchpoints.ordinal,
        touchpoints.touched_at,
        {%- if journey_scope() == 'since_last_conversion' and lookback_days() %}
        least(
            used_up.used_up_at,
            {{ days_later('touchpoints.touched_at', lookback_days()) }}
        ) as ends_at
        {%- elif journey_scope() == 'since_last_conversion' %}
        used_up.used_up_at as ends_at
        {%- elif lookback_days() %}
        {{ days_later('touchpoints.touched_at', lookback_days()) }} as ends_at
        {%- else %}
        cast(null as timestamp) as ends_at
        {%- endif %}
    from touchpoints
    inner join conversion_types
        on touchpoints.source = conversion_types.source
    {%- if journey_scope() == 'since_last_conversion' %}
    left join used_up
        on
            touchpoints.source = used_up.source
            and touchpoints.touchpoint_id = used_up.touchpoint_id
            and conversion_types.conversion_type = used_up.conversion_type
    {%- endif %}

),

touch_impulses as (

    select
        cast(touched_at as date) as impulse_date,
        conversion_type,
        channel,
        ordinal,
        1 as impulse,
        cast(0 as double) as age_days,
        {{ rest_of_day('touched_at') }} as rest_of_day
    from lasting
    union all
    select
        cast(ends_at as date) as impulse_date,
        conversion_type,
        channel,
        ordinal,
        -1 as impulse,
        {{ days_between('touched_at', 'ends_at') }} as age_days,
        {{ rest_of_day('ends_at') }} as rest_of_day
    from lasting
    where ends_at is not null

),

faded as (

    select
        impulse_date,
        conversion_type,
        channel,
        ordinal,
        {%- for decay in hazard_decays() %}
        {{ exact_sum('impulse * ' ~ faded('age_days', decay.days)) }}
            as mass_{{ decay.days }},
        {{ exact_sum('impulse * ' ~ faded('age_days + rest_of_day', decay.days)) }}
            as left_{{ decay.days }},
        {%- endfor %}
        count(*) as impulses
    from touch_impulses
    group by impulse_date, conversion_type, channel, ordinal

),

people as (

    select
        source,
        person_id,
        min(touched_at) as entered_at
    from touchpoints
    group by source, person_id

),

first_conversions as (

    select
        source,
        person_id,
        conversion_type,
        min(converted_at) as first_converted_at
    from conversions
    group by source, person_id, conversion_type

),

at_risk as (

    select
        conversion_types.conversion_type,
        people.entered_at,
        first_conversions.first_converted_at,
        greatest(first_conversions.first_converted_at, people.entered_at) as moved_at
    from people
    inner join conversion_types
        on people.source = conversion_types.source
    left join first_conversions
        on
            people.source = first_conversions.source
            and people.person_id = first_conversions.person_id
            and conversion_types.conversion_type = first_conversions.conversion_type

),

risk_impulses as (

    -- Ordinal 0 is at risk before the first conversion, ordinal 1 after it.
    select
        conversion_type,
        0 as ordinal,
        1 as impulse,
        entered_at as happened_at
    from at_risk
    union all
    select
        conversion_type,
        0 as ordinal,
        -1 as impulse,
        moved_at as happened_at
    from at_risk
    where first_converted_at is not null
    union all
    select
        conversion_type,
        1 as ordinal,
        1 as impulse,
        moved_at as happened_at
    from at_risk
    where first_converted_at is not null

),

final as (

    {%- for decay in hazard_decays() %}
    select
        impulse_date,
        conversion_type,
        channel,
        ordinal,
        {{ decay.days }} as decay_days,
        left_{{ decay.days }} as mass_at_midnight,
        {{ decay.days }} * (mass_{{ decay.days }} - left_{{ decay.days }}) as exposure
    from faded
    union all
    {%- endfor %}
    select
        cast(happened_at as date) as impulse_date,
        conversion_type,
        '(baseline)' as channel,
        ordinal,
        0 as decay_days,
        cast(sum(impulse) as double) as mass_at_midnight,
        {{ exact_sum('impulse * ' ~ rest_of_day('happened_at')) }} as exposure
    from risk_impulses
    group by cast(happened_at as date), conversion_type, ordinal

)

select * from final

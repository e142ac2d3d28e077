-- grain: one row per day, conversion type, channel, ordinal and decay. All measures are additive.
-- A touch adds 1 to its feature's mass, which fades; the end of its effect (lookback, or the
-- conversion that uses it up) takes away what is left. Exposure over any period follows from these
-- daily sums alone, so a new day changes no earlier row.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard') }}

),

touched_persons as (

    select * from {{ ref('int_touched_persons') }}
    where {{ is_computed('hazard') }}

),

channels as (

    select * from {{ ref('int_channels') }}

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
        touches.touchpoint_key,
        conversions.conversion_type,
        min(conversions.converted_at) as used_up_at
    from touches
    inner join conversions
        on
            touches.person_key = conversions.person_key
            and conversions.converted_at {{ at_conversion }} touches.touched_at
    group by touches.touchpoint_key, conversions.conversion_type

),
{%- endif %}

reachable as (

    -- What people of a source can reach.
    select
        touched_persons.person_key,
        touched_persons.entered_at,
        conversion_types.conversion_type
    from touched_persons
    inner join conversion_types
        on touched_persons.source = conversion_types.source

),

lasting as (

    -- What ends a touch: null where nothing does.
    select
        reachable.conversion_type,
        touches.channel_key,
        touches.ordinal,
        touches.touched_at,
        {%- if journey_scope() == 'since_last_conversion' and lookback_days() %}
        least(
            used_up.used_up_at,
            {{ days_later('touches.touched_at', lookback_days()) }}
        ) as ends_at
        {%- elif journey_scope() == 'since_last_conversion' %}
        used_up.used_up_at as ends_at
        {%- elif lookback_days() %}
        {{ days_later('touches.touched_at', lookback_days()) }} as ends_at
        {%- else %}
        cast(null as timestamp) as ends_at
        {%- endif %}
    from touches
    inner join reachable
        on touches.person_key = reachable.person_key
    {%- if journey_scope() == 'since_last_conversion' %}
    left join used_up
        on
            touches.touchpoint_key = used_up.touchpoint_key
            and reachable.conversion_type = used_up.conversion_type
    {%- endif %}

),

touch_impulses as (

    select
        cast(touched_at as date) as impulse_date,
        conversion_type,
        channel_key,
        ordinal,
        1 as impulse,
        cast(0 as double) as age_days,
        {{ rest_of_day('touched_at') }} as rest_of_day
    from lasting
    union all
    select
        cast(ends_at as date) as impulse_date,
        conversion_type,
        channel_key,
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
        channel_key,
        ordinal,
        {%- for decay in hazard_decays() %}
        {{ exact_sum('impulse * ' ~ faded('age_days', decay.days)) }}
            as mass_{{ decay.days }},
        {{ exact_sum('impulse * ' ~ faded('age_days + rest_of_day', decay.days)) }}
            as left_{{ decay.days }},
        {%- endfor %}
        count(*) as impulses
    from touch_impulses
    group by impulse_date, conversion_type, channel_key, ordinal

),

first_conversions as (

    select
        person_key,
        conversion_type,
        min(converted_at) as first_converted_at
    from conversions
    group by person_key, conversion_type

),

at_risk as (

    select
        reachable.conversion_type,
        reachable.entered_at,
        first_conversions.first_converted_at,
        greatest(first_conversions.first_converted_at, reachable.entered_at) as moved_at
    from reachable
    left join first_conversions
        on
            reachable.person_key = first_conversions.person_key
            and reachable.conversion_type = first_conversions.conversion_type

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
        faded.impulse_date,
        faded.conversion_type,
        channels.channel,
        faded.ordinal,
        {{ decay.days }} as decay_days,
        faded.left_{{ decay.days }} as mass_at_midnight,
        {{ decay.days }} * (faded.mass_{{ decay.days }} - faded.left_{{ decay.days }}) as exposure
    from faded
    inner join channels
        on faded.channel_key = channels.channel_key
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

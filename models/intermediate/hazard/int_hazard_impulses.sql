-- grain: one row per source, day, conversion type, channel, ordinal and decay. All measures are
-- additive.
-- A touch adds 1 to its feature's mass, which fades; the end of its effect (lookback, or the
-- conversion that uses it up, or that ends the risk) takes away what is left. Exposure over any
-- period follows from these daily sums alone, so a new day changes no earlier row.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}
{%- set lookback_end = days_later('touches.touched_at', lookback_days())
    if lookback_days() else 'cast(null as timestamp)' %}

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
{%- set ends_by_conversion = journey_scope() == 'since_last_conversion' %}
{%- if ends_by_conversion %}

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

lasting_for_repeated as (

    -- What ends a touch: null where nothing does.
    select
        touched_persons.source,
        conversion_types.conversion_type,
        touches.channel_key,
        touches.ordinal,
        touches.touched_at,
        least(used_up.used_up_at, {{ lookback_end }}) as ends_at
    from touches
    inner join touched_persons
        on touches.person_key = touched_persons.person_key
    inner join conversion_types
        on
            touched_persons.source = conversion_types.source
            and conversion_types.is_repeated
    left join used_up
        on
            touches.touchpoint_key = used_up.touchpoint_key
            and conversion_types.conversion_type = used_up.conversion_type

),
{%- else %}

lasting_for_repeated as (

    -- What ends a touch, for all conversion types alike: null where nothing does.
    select
        touched_persons.source,
        cast(null as varchar) as conversion_type,
        touches.channel_key,
        touches.ordinal,
        touches.touched_at,
        {{ lookback_end }} as ends_at
    from touches
    inner join touched_persons
        on touches.person_key = touched_persons.person_key

),
{%- endif %}

first_conversions as (

    select
        person_key,
        conversion_type,
        min(converted_at) as first_converted_at
    from conversions
    group by person_key, conversion_type

),

lasting_until_conversion as (

    -- Where nobody converts twice, who has converted is no more at risk: that ends the touches
    -- before it, and those after it are no exposure.
    select
        touched_persons.source,
        conversion_types.conversion_type,
        touches.channel_key,
        touches.ordinal,
        touches.touched_at,
        least(first_conversions.first_converted_at, {{ lookback_end }}) as ends_at
    from touches
    inner join touched_persons
        on touches.person_key = touched_persons.person_key
    inner join conversion_types
        on
            touched_persons.source = conversion_types.source
            and not conversion_types.is_repeated
    left join first_conversions
        on
            touches.person_key = first_conversions.person_key
            and conversion_types.conversion_type = first_conversions.conversion_type
    where
        first_conversions.first_converted_at is null
        or first_conversions.first_converted_at {{ at_conversion }} touches.touched_at

),

lasting as (

    select * from lasting_for_repeated
    union all
    select * from lasting_until_conversion

),

dated as (

    select
        source,
        conversion_type,
        channel_key,
        ordinal,
        cast(touched_at as date) as touch_date,
        cast(ends_at as date) as end_date,
        {{ rest_of_day('touched_at') }} as rest_of_day,
        {{ days_between('touched_at', 'ends_at') }} as age_days,
        case when conversion_type is not null then age_days end as own_age_days
    from lasting

),

of_days as (

    -- Touches of a day that end on one day, and what is left of them when their own day ends.
    select
        source,
        conversion_type,
        channel_key,
        ordinal,
        touch_date,
        end_date,
        {%- for decay in hazard_decays() %}
        {{ exact_sum_of_parts(faded('rest_of_day', decay.days)) }} as left_{{ decay.days }},
        {%- if ends_by_conversion %}
        {{ exact_sum_of_parts(faded('age_days', decay.days)) }} as ended_{{ decay.days }},
        {%- else %}
        -- What no conversion ends is as old as the lookback, all of it.
        case
            when conversion_type is null then count(*) * {{ faded('max(age_days)', decay.days) }}
            else {{ exact_sum_of_parts(faded('own_age_days', decay.days)) }}
        end as ended_{{ decay.days }},
        {%- endif %}
        {%- endfor %}
        count(*) as touches
    from dated
    group by source, conversion_type, channel_key, ordinal, touch_date, end_date

),

reachable as (

    -- What people of a source can reach.
    select
        of_days.source,
        conversion_types.conversion_type,
        of_days.channel_key,
        of_days.ordinal,
        of_days.touch_date,
        of_days.end_date,
        {%- for decay in hazard_decays() %}
        of_days.left_{{ decay.days }},
        of_days.ended_{{ decay.days }},
        {%- endfor %}
        of_days.touches
    from of_days
    inner join conversion_types
        on
            of_days.source = conversion_types.source
            and (
                of_days.conversion_type = conversion_types.conversion_type
                or (of_days.conversion_type is null and conversion_types.is_repeated)
            )

),

touch_impulses as (

    select
        source,
        touch_date as impulse_date,
        conversion_type,
        channel_key,
        {%- for decay in hazard_decays() %}
        cast(touches as double) as mass_{{ decay.days }},
        left_{{ decay.days }},
        {%- endfor %}
        ordinal
    from reachable
    union all
    select
        source,
        end_date as impulse_date,
        conversion_type,
        channel_key,
        {%- for decay in hazard_decays() %}
        -ended_{{ decay.days }} as mass_{{ decay.days }},
        -left_{{ decay.days }} * {{ faded('end_date - touch_date', decay.days) }}
            as left_{{ decay.days }},
        {%- endfor %}
        ordinal
    from reachable
    -- Of a touch, as much is left at a midnight as at the one before it, faded by a day.
    where end_date is not null

),

faded as (

    select
        source,
        impulse_date,
        conversion_type,
        channel_key,
        {%- for decay in hazard_decays() %}
        {{ exact_sum('mass_' ~ decay.days) }} as mass_{{ decay.days }},
        {{ exact_sum('left_' ~ decay.days) }} as left_{{ decay.days }},
        {%- endfor %}
        ordinal
    from touch_impulses
    group by source, impulse_date, conversion_type, channel_key, ordinal

),

entered as (

    select
        source,
        cast(entered_at as date) as impulse_date,
        {{ exact_sum_of_parts(rest_of_day('entered_at')) }} as exposure,
        count(*) as people
    from touched_persons
    group by source, cast(entered_at as date)

),

moved as (

    -- Ordinal 0 is at risk before the first conversion, ordinal 1 after it.
    select
        touched_persons.source,
        conversion_types.conversion_type,
        conversion_types.is_repeated,
        greatest(first_conversions.first_converted_at, touched_persons.entered_at) as moved_at
    from first_conversions
    inner join touched_persons
        on first_conversions.person_key = touched_persons.person_key
    inner join conversion_types
        on
            touched_persons.source = conversion_types.source
            and first_conversions.conversion_type = conversion_types.conversion_type

),

moves as (

    select
        source,
        cast(moved_at as date) as impulse_date,
        conversion_type,
        is_repeated,
        {{ exact_sum_of_parts(rest_of_day('moved_at')) }} as exposure,
        count(*) as people
    from moved
    group by source, cast(moved_at as date), conversion_type, is_repeated

),

risk_impulses as (

    select
        entered.source,
        entered.impulse_date,
        conversion_types.conversion_type,
        0 as ordinal,
        entered.people,
        entered.exposure
    from entered
    inner join conversion_types
        on entered.source = conversion_types.source
    union all
    select
        source,
        impulse_date,
        conversion_type,
        0 as ordinal,
        -people as people,
        -exposure as exposure
    from moves
    union all
    select
        source,
        impulse_date,
        conversion_type,
        1 as ordinal,
        people,
        exposure
    from moves
    where is_repeated

),

final as (

    {%- for decay in hazard_decays() %}
    select
        faded.source,
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
        source,
        impulse_date,
        conversion_type,
        '(baseline)' as channel,
        ordinal,
        0 as decay_days,
        cast(sum(people) as double) as mass_at_midnight,
        {{ exact_sum('exposure') }} as exposure
    from risk_impulses
    group by source, impulse_date, conversion_type, ordinal

)

select * from final

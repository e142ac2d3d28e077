-- grain: one row per conversion and touchpoint; how far the touch is an initializer, a holder and a
-- closer of its journey, each in [0, 1] and not yet normalised.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_of_changed_person() }} and {{ is_computed('ihc') }}

),

ihc_curves as (

    select * from {{ ref('ihc_curves') }}

),

curve_segments as (

    select
        phase,
        hours as from_hours,
        membership as from_membership,
        lead(hours) over (
            partition by phase
            order by hours
        ) as to_hours,
        lead(membership) over (
            partition by phase
            order by hours
        ) as to_membership
    from ihc_curves

),

hours_of_segments as (

    -- Every whole hour beside the segments that it is part of: a time then finds its segment among
    -- one or two. The last segment does not end, and has one hour.
    select
        *,
        coalesce(to_hours, cast('infinity' as double)) as until_hours,
        {{ each_of_list(
            whole_numbers('floor(from_hours)', 'floor(coalesce(to_hours, from_hours))')
        ) }} as whole_hour
    from curve_segments

),

last_hours as (

    select
        floor(max(case when phase = 'initializer' then hours end)) as initializer_hour,
        floor(max(case when phase = 'closer' then hours end)) as closer_hour
    from ihc_curves

),

timed as (

    -- Touches engaged in the way that closes may close, and the last one; where none is, all may.
    select
        conversion_key,
        touchpoint_key,
        person_key,
        channel,
        channel_key,
        cast(touched_at as date) as touch_date,
        touch_number,
        case when holder_engagement then 1.0 else 0.0 end as is_holding,
        case
            when
                closer_engagement
                or touch_number = journey_length
                or max(case when closer_engagement then 1 else 0 end) over (
                    partition by conversion_key
                ) = 0
                then 1.0
            else 0.0
        end as is_closing,
        {{ hours_between(
            'lag(touched_at) over (partition by conversion_key order by touch_number)',
            'touched_at'
        ) }} as hours_since_previous_touch,
        {{ hours_between('touched_at', 'converted_at') }} as hours_to_conversion
    from journey_touchpoints

),

hourly as (

    select
        timed.*,
        cast(
            least(floor(timed.hours_since_previous_touch), last_hours.initializer_hour) as bigint
        ) as hour_since_previous_touch,
        cast(least(floor(timed.hours_to_conversion), last_hours.closer_hour) as bigint)
            as hour_to_conversion
    from timed
    cross join last_hours

),

on_curves as (

    -- Between two points of a curve membership is linear; after the last point it stays.
    select
        hourly.conversion_key,
        hourly.touchpoint_key,
        hourly.person_key,
        hourly.channel,
        hourly.channel_key,
        hourly.touch_date,
        hourly.is_holding,
        cast(
            case
                when hourly.touch_number = 1 then 1.0
                else {{ interpolated('initializer', 'hourly.hours_since_previous_touch') }}
            end as double
        ) as initializer_membership,
        cast(
            hourly.is_closing * {{ interpolated('closer', 'hourly.hours_to_conversion') }}
            as double
        ) as closer_membership
    from hourly
    left join hours_of_segments as initializer
        on
            initializer.phase = 'initializer'
            and hourly.hour_since_previous_touch = initializer.whole_hour
            and hourly.hours_since_previous_touch >= initializer.from_hours
            and hourly.hours_since_previous_touch < initializer.until_hours
    inner join hours_of_segments as closer
        on
            closer.phase = 'closer'
            and hourly.hour_to_conversion = closer.whole_hour
            and hourly.hours_to_conversion >= closer.from_hours
            and hourly.hours_to_conversion < closer.until_hours

),

totals as (

    select
        conversion_key,
        sum(initializer_membership) as initializing,
        sum(closer_membership) as closing
    from on_curves
    group by conversion_key

),

rest as (

    -- What of a touch is not the start of its journey, and what is not its end.
    select
        on_curves.*,
        1 - coalesce(on_curves.initializer_membership / nullif(totals.initializing, 0), 0)
            as not_initializing,
        1 - coalesce(on_curves.closer_membership / nullif(totals.closing, 0), 0) as not_closing
    from on_curves
    inner join totals
        on on_curves.conversion_key = totals.conversion_key

),

final as (

    -- A touch holds as far as it neither starts nor ends the journey: the mean of the arithmetic
    -- and the harmonic mean of the two, which is 0 only where it does both alone.
    select
        conversion_key,
        touchpoint_key,
        person_key,
        channel,
        channel_key,
        touch_date,
        initializer_membership,
        cast(
            is_holding * (
                (not_initializing + not_closing) / 2
                + coalesce(
                    2 * not_initializing * not_closing
                    / nullif(not_initializing + not_closing, 0),
                    0
                )
            ) / 2
            as double
        ) as holder_membership,
        closer_membership
    from rest

)

select * from final

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

timed as (

    -- Touches engaged in the way that closes may close, and the last one; where none is, all may.
    select
        source,
        conversion_id,
        touchpoint_id,
        person_key,
        touch_number,
        case when holder_engagement then 1.0 else 0.0 end as is_holding,
        case
            when
                closer_engagement
                or touch_number = journey_length
                or max(case when closer_engagement then 1 else 0 end) over (
                    partition by source, conversion_id
                ) = 0
                then 1.0
            else 0.0
        end as is_closing,
        {{ hours_between(
            'lag(touched_at) over (partition by source, conversion_id order by touch_number)',
            'touched_at'
        ) }} as hours_since_previous_touch,
        {{ hours_between('touched_at', 'converted_at') }} as hours_to_conversion
    from journey_touchpoints

),

on_curves as (

    -- Between two points of a curve membership is linear; after the last point it stays.
    select
        timed.source,
        timed.conversion_id,
        timed.touchpoint_id,
        timed.person_key,
        timed.is_holding,
        cast(
            case
                when timed.touch_number = 1 then 1.0
                else {{ interpolated('initializer', 'timed.hours_since_previous_touch') }}
            end as double
        ) as initializer_membership,
        cast(
            timed.is_closing * {{ interpolated('closer', 'timed.hours_to_conversion') }}
            as double
        ) as closer_membership
    from timed
    left join curve_segments as initializer
        on
            initializer.phase = 'initializer'
            and timed.hours_since_previous_touch >= initializer.from_hours
            and (
                initializer.to_hours is null
                or timed.hours_since_previous_touch < initializer.to_hours
            )
    inner join curve_segments as closer
        on
            closer.phase = 'closer'
            and timed.hours_to_conversion >= closer.from_hours
            and (closer.to_hours is null or timed.hours_to_conversion < closer.to_hours)

),

rest as (

    -- What of a touch is not the start of its journey, and what is not its end.
    select
        *,
        1 - {{ share_of_phase('initializer_membership') }} as not_initializing,
        1 - {{ share_of_phase('closer_membership') }} as not_closing
    from on_curves

),

final as (

    -- A touch holds as far as it neither starts nor ends the journey: the mean of the arithmetic
    -- and the harmonic mean of the two, which is 0 only where it does both alone.
    select
        source,
        conversion_id,
        touchpoint_id,
        person_key,
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

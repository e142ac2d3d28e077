-- grain: one row per conversion and touchpoint; how far the touch is an initializer, a holder and a
-- closer of its journey, each in [0, 1] and not yet normalised.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

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

    select
        source,
        conversion_id,
        touchpoint_id,
        touch_number,
        holder_engagement,
        {{ hours_between(
            'lag(touched_at) over (partition by source, conversion_id order by touch_number)',
            'touched_at'
        ) }} as hours_since_previous_touch,
        {{ hours_between('touched_at', 'converted_at') }} as hours_to_conversion
    from journey_touchpoints

),

final as (

    -- Between two points of a curve membership is linear; after the last point it stays.
    select
        timed.source,
        timed.conversion_id,
        timed.touchpoint_id,
        case
            when timed.touch_number = 1 then 1.0
            else {{ interpolated('initializer', 'timed.hours_since_previous_touch') }}
        end as initializer_membership,
        case when timed.holder_engagement then 1.0 else 0.0 end as holder_membership,
        {{ interpolated('closer', 'timed.hours_to_conversion') }} as closer_membership
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

)

select * from final

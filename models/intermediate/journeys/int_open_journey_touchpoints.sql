-- grain: one row per person, conversion type and touchpoint after the person's last conversion of
-- that type (every touchpoint, where there is none), as known at the end of the reporting period.
-- The lookback window ends at the person's last touch.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ until_reporting_end('touched_at') }} and {{ is_of_changed_person() }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }} and {{ is_of_changed_person() }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

last_conversions as (

    select
        source,
        person_id,
        conversion_type,
        max(converted_at) as last_converted_at
    from conversions
    group by source, person_id, conversion_type

),

unconverted as (

    select
        touchpoints.source,
        touchpoints.person_id,
        conversion_types.conversion_type,
        touchpoints.touchpoint_id,
        touchpoints.channel,
        touchpoints.touched_at,
        max(touchpoints.touched_at) over (
            partition by
                touchpoints.source, touchpoints.person_id, conversion_types.conversion_type
        ) as last_touched_at
    from touchpoints
    inner join conversion_types
        on touchpoints.source = conversion_types.source
    left join last_conversions
        on
            touchpoints.source = last_conversions.source
            and touchpoints.person_id = last_conversions.person_id
            and conversion_types.conversion_type = last_conversions.conversion_type
    where
        last_conversions.last_converted_at is null
        or touchpoints.touched_at {{ '>' if include_touch_at_conversion() else '>=' }}
        last_conversions.last_converted_at

),

final as (

    select
        source,
        person_id,
        conversion_type,
        touchpoint_id,
        channel,
        touched_at,
        last_touched_at,
        row_number() over (
            partition by source, person_id, conversion_type
            order by touched_at, touchpoint_id
        ) as touch_number
    from unconverted
    where
        {{ in_reporting_period('last_touched_at') }}
        and touched_at >= {{ lookback_opening('last_touched_at') }}

)

select * from final

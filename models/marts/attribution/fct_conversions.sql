-- grain: one row per source and conversion of the reporting period. revenue and touchpoint_count
-- are additive, but a touchpoint that serves several conversions counts in each.
with journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

touchpoint_counts as (

    select
        conversion_key,
        count(*) as touchpoint_count
    from journey_touchpoints
    group by conversion_key

),

final as (

    select
        journey_windows.conversion_id,
        journey_windows.source,
        journey_windows.person_id,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        journey_windows.converted_at,
        journey_windows.revenue,
        coalesce(touchpoint_counts.touchpoint_count, 0) as touchpoint_count,
        touchpoint_counts.touchpoint_count is not null as is_attributed
    from journey_windows
    left join touchpoint_counts
        on journey_windows.conversion_key = touchpoint_counts.conversion_key

)

select * from final

-- grain: one row per day of the path's end, conversion type and path (its channels in order).
-- conversions, revenue, open_journeys and days_to_conversion are additive.
with path_touchpoints as (

    select * from {{ ref('int_path_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

paths as (

    select
        source,
        conversion_type,
        is_converted,
        case when is_converted then path_id end as conversion_id,
        cast(max(path_ended_at) as date) as path_end_date,
        {{ ordered_list('channel', 'touch_number') }} as channels,
        {{ hours_between('min(touched_at)', 'max(path_ended_at)') }} / 24.0 as path_days
    from path_touchpoints
    group by source, conversion_type, is_converted, path_id

),

final as (

    select
        paths.path_end_date,
        paths.conversion_type,
        paths.channels,
        cast(count(case when paths.is_converted then 1 end) as bigint) as conversions,
        cast(coalesce(sum(journey_windows.revenue), 0) as decimal(38, 10)) as revenue,
        cast(count(case when not paths.is_converted then 1 end) as bigint) as open_journeys,
        coalesce({{ exact_sum('case when paths.is_converted then paths.path_days end') }}, 0)
            as days_to_conversion
    from paths
    left join journey_windows
        on
            paths.source = journey_windows.source
            and paths.conversion_id = journey_windows.conversion_id
    group by paths.path_end_date, paths.conversion_type, paths.channels

)

select * from final

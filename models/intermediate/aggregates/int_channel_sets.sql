-- grain: one row per day of the path's end, conversion type and set of distinct channels touched
-- (a sorted list). conversions, revenue and open_journeys are additive.
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
        {{ sorted_set('channel') }} as channel_set
    from path_touchpoints
    group by source, conversion_type, is_converted, path_id

),

final as (

    select
        paths.path_end_date,
        paths.conversion_type,
        paths.channel_set,
        cast(count(case when paths.is_converted then 1 end) as bigint) as conversions,
        cast(coalesce(sum(journey_windows.revenue), 0) as decimal(38, 10)) as revenue,
        cast(count(case when not paths.is_converted then 1 end) as bigint) as open_journeys
    from paths
    left join journey_windows
        on
            paths.source = journey_windows.source
            and paths.conversion_id = journey_windows.conversion_id
    group by paths.path_end_date, paths.conversion_type, paths.channel_set

)

select * from final

-- grain: one row per day of the path's end, conversion type and set of distinct channels touched
-- (a sorted list). conversions, revenue and open_journeys are additive.
with paths as (

    select * from {{ ref('int_paths') }}

),

final as (

    select
        path_end_date,
        conversion_type,
        channel_set,
        cast(count(case when is_converted then 1 end) as bigint) as conversions,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        cast(count(case when not is_converted then 1 end) as bigint) as open_journeys
    from paths
    group by path_end_date, conversion_type, channel_set

)

select * from final

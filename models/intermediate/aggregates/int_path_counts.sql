-- grain: one row per day of the path's end, conversion type and path (its channels in order).
-- conversions, revenue, open_journeys and days_to_conversion are additive.
with paths as (

    select * from {{ ref('int_paths') }}

),

names as (

    select * from {{ ref('int_channel_names') }}

),

counted as (

    select
        path_end_date,
        conversion_type,
        channel_keys,
        cast(count(case when is_converted then 1 end) as bigint) as conversions,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        cast(count(case when not is_converted then 1 end) as bigint) as open_journeys,
        coalesce({{ exact_sum('case when is_converted then path_days end') }}, 0)
            as days_to_conversion
    from paths
    group by path_end_date, conversion_type, channel_keys

),

final as (

    select
        counted.path_end_date,
        counted.conversion_type,
        {{ named_list('counted.channel_keys', 'names.channel_names') }} as channels,
        counted.conversions,
        counted.revenue,
        counted.open_journeys,
        counted.days_to_conversion
    from counted
    cross join names

)

select * from final

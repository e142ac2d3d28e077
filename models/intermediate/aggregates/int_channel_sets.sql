-- grain: one row per conversion type and set of distinct channels touched (a sorted list).
-- conversions, revenue and open_journeys are additive.
with paths as (

    select * from {{ ref('int_paths') }}

),

names as (

    select * from {{ ref('int_channel_names') }}

),

counted as (

    select
        conversion_type,
        channel_key_set,
        cast(count(case when is_converted then 1 end) as bigint) as conversions,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        cast(count(case when not is_converted then 1 end) as bigint) as open_journeys
    from paths
    group by conversion_type, channel_key_set

),

final as (

    select
        counted.conversion_type,
        {{ named_list('counted.channel_key_set', 'names.channel_names') }} as channel_set,
        counted.conversions,
        counted.revenue,
        counted.open_journeys
    from counted
    cross join names

)

select * from final

-- grain: one row per conversion type and path, for the paths taken most often (setting
-- path_summary_rows). conversions, open_journeys and revenue are additive, but do not add up to the
-- total where there are more paths; conversion_rate and mean_days_to_conversion are not additive.
with paths as (

    select * from {{ ref('int_paths') }}

),

names as (

    select * from {{ ref('int_channel_names') }}

),

counted as (

    select
        conversion_type,
        channel_keys,
        cast(count(case when is_converted then 1 end) as bigint) as conversions,
        cast(count(case when not is_converted then 1 end) as bigint) as open_journeys,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        coalesce({{ exact_sum('case when is_converted then path_days end') }}, 0)
            as days_to_conversion
    from paths
    group by conversion_type, channel_keys

),

ties as (

    -- Of most paths a look at the counts says that they are not among the first.
    select
        conversion_type,
        conversions,
        open_journeys,
        sum(count(*)) over (
            partition by conversion_type
            order by conversions desc, open_journeys desc
        ) - count(*) as paths_before
    from counted
    group by conversion_type, conversions, open_journeys

),

frequent as (

    select counted.*
    from counted
    inner join ties
        on
            counted.conversion_type = ties.conversion_type
            and counted.conversions = ties.conversions
            and counted.open_journeys = ties.open_journeys
    where ties.paths_before < {{ path_summary_rows() }}

),

named as (

    select
        frequent.conversion_type,
        frequent.conversions,
        frequent.open_journeys,
        frequent.revenue,
        frequent.days_to_conversion,
        {{ named_list('frequent.channel_keys', 'names.channel_names') }} as channels
    from frequent
    cross join names

),

ranked as (

    select
        *,
        row_number() over (
            partition by conversion_type
            order by conversions desc, open_journeys desc, channels asc
        ) as path_rank
    from named

),

final as (

    select
        conversion_type,
        path_rank,
        {{ displayed_list('channels') }} as path,
        channels,
        {{ length_of_list('channels') }} as path_length,
        conversions,
        open_journeys,
        revenue,
        conversions / cast(conversions + open_journeys as double) as conversion_rate,
        days_to_conversion / nullif(conversions, 0) as mean_days_to_conversion
    from ranked
    where path_rank <= {{ path_summary_rows() }}

)

select * from final

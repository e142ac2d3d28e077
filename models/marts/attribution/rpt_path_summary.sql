-- grain: one row per conversion type and path, for the paths taken most often (setting
-- path_summary_rows). conversions, open_journeys and revenue are additive, but do not add up to the
-- total where there are more paths; conversion_rate and mean_days_to_conversion are not additive.
with path_counts as (

    select * from {{ ref('int_path_counts') }}

),

aggregated as (

    select
        conversion_type,
        channels,
        cast(sum(conversions) as bigint) as conversions,
        cast(sum(open_journeys) as bigint) as open_journeys,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        {{ exact_sum('days_to_conversion') }} as days_to_conversion
    from path_counts
    group by conversion_type, channels

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
    from aggregated
    group by conversion_type, conversions, open_journeys

),

frequent as (

    select aggregated.*
    from aggregated
    inner join ties
        on
            aggregated.conversion_type = ties.conversion_type
            and aggregated.conversions = ties.conversions
            and aggregated.open_journeys = ties.open_journeys
    where ties.paths_before < {{ path_summary_rows() }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by conversion_type
            order by conversions desc, open_journeys desc, channels asc
        ) as path_rank
    from frequent

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

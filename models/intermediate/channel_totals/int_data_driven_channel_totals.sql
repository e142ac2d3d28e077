-- grain: one row per conversion type and channel, (baseline) among them. conversions and revenue
-- are additive and add up to the attributed conversions and their revenue; errors are not
-- additive.
with data_driven as (

    select * from {{ ref('data_driven') }}

),

channel_sets as (

    select * from {{ ref('int_channel_sets') }}

),

attributed as (

    select
        conversion_type,
        cast(sum(revenue) as double) as revenue,
        sum(conversions) as conversions
    from channel_sets
    group by conversion_type

),

split as (

    select
        conversion_type,
        name as channel,
        max(case when kind = 'total' then value end) as conversions,
        max(case when kind = 'revenue' then value end) as revenue,
        max(case when kind = 'total' then std_error end) as conversions_std_error,
        max(case when kind = 'total' then low end) as conversions_low,
        max(case when kind = 'total' then high end) as conversions_high
    from data_driven
    where kind in ('total', 'revenue')
    group by conversion_type, name

),

final as (

    -- The model may have learnt from a sample: its revenue is scaled to all of it. Where the sample
    -- had none, revenue follows the conversions.
    select
        cast(split.conversion_type as varchar) as conversion_type,
        cast(split.channel as varchar) as channel,
        cast(split.conversions as double) as conversions,
        cast(split.conversions_std_error as double) as conversions_std_error,
        cast(split.conversions_low as double) as conversions_low,
        cast(split.conversions_high as double) as conversions_high,
        cast(
            attributed.revenue * coalesce(
                split.revenue / nullif(
                    sum(split.revenue) over (partition by split.conversion_type), 0
                ),
                split.conversions / nullif(attributed.conversions, 0),
                0
            ) as double
        ) as revenue
    from split
    inner join attributed
        on split.conversion_type = attributed.conversion_type

)

select * from final

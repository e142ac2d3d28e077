-- grain: one row per conversion type and channel, (baseline) among them. conversions and revenue
-- are additive and add up to the attributed conversions and their revenue; the rest is not.
with credits as (

    select * from {{ ref('int_hazard_credits') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

results as (

    select * from {{ ref('hazard') }}
    where kind = 'channel_total'

),

baselines as (

    select
        conversion_key,
        max(baseline_share) as credit
    from credits
    group by conversion_key

),

credited as (

    select
        journey_windows.conversion_type,
        channels.channel,
        credits.hazard as credit,
        credits.hazard * journey_windows.revenue as credited_revenue
    from credits
    inner join channels
        on credits.channel_key = channels.channel_key
    inner join journey_windows
        on credits.conversion_key = journey_windows.conversion_key
    union all
    select
        journey_windows.conversion_type,
        '(baseline)' as channel,
        baselines.credit,
        baselines.credit * journey_windows.revenue as credited_revenue
    from baselines
    inner join journey_windows
        on baselines.conversion_key = journey_windows.conversion_key

),

aggregated as (

    select
        conversion_type,
        channel,
        {{ exact_sum('credit') }} as conversions,
        cast(sum(credited_revenue) as double) as revenue
    from credited
    group by conversion_type, channel

),

final as (

    -- The interval is about the sum of the credits of all conversions; the fit may have seen a
    -- sample, and conversions outside the lookback window, which are baseline and not attributed.
    select
        aggregated.conversion_type,
        aggregated.channel,
        aggregated.conversions,
        aggregated.revenue,
        cast(results.std_error as double) as conversions_std_error,
        cast(
            {{ or_nothing('coalesce(aggregated.conversions - results.value + results.low, 0)') }}
            as double
        ) as conversions_low,
        cast(aggregated.conversions - results.value + results.high as double) as conversions_high
    from aggregated
    left join results
        on
            aggregated.conversion_type = results.conversion_type
            and aggregated.channel = results.name

)

select * from final

-- grain: one row per conversion type and channel, (baseline) among them. conversions and revenue
-- are additive and add up to the attributed conversions and their revenue; the rest is not.
with credits as (

    select * from {{ ref('int_hazard_credits') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

results as (

    select * from {{ ref('hazard') }}
    where kind = 'channel_total'

),

credited as (

    select
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        credits.hazard as credit,
        credits.hazard * journey_windows.revenue as credited_revenue
    from credits
    inner join journey_touchpoints
        on
            credits.conversion_key = journey_touchpoints.conversion_key
            and credits.touchpoint_key = journey_touchpoints.touchpoint_key
    inner join journey_windows
        on credits.conversion_key = journey_windows.conversion_key
    union all
    select
        journey_touchpoints.conversion_type,
        '(baseline)' as channel,
        credits.baseline_share as credit,
        credits.baseline_share * journey_windows.revenue as credited_revenue
    from credits
    inner join journey_touchpoints
        on
            credits.conversion_key = journey_touchpoints.conversion_key
            and credits.touchpoint_key = journey_touchpoints.touchpoint_key
    inner join journey_windows
        on credits.conversion_key = journey_windows.conversion_key
    where journey_touchpoints.touch_number = 1

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
            greatest(aggregated.conversions - results.value + results.low, 0.0) as double
        ) as conversions_low,
        cast(aggregated.conversions - results.value + results.high as double) as conversions_high
    from aggregated
    left join results
        on
            aggregated.conversion_type = results.conversion_type
            and aggregated.channel = results.name

)

select * from final

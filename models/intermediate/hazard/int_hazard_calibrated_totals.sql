-- grain: one row per conversion type and channel, (baseline) among them. Conversions and revenue
-- are additive and add up to what is attributed, calibrated or not; the rest is not.
with channel_totals as (

    select * from {{ ref('int_hazard_channel_totals') }}
    where {{ is_computed('hazard_calibrated') }}

),

shared_totals as (

    select * from {{ ref('int_hazard_shared_totals') }}

),

hazard_calibration as (

    select * from {{ ref('hazard_calibration') }}

),

of_channels as (

    -- uncalibrated is the model alone; prompted touches are shared before calibration. A calibrated
    -- channel has the interval of its posterior, any other the model's own.
    select
        channel_totals.conversion_type,
        channel_totals.channel,
        channel_totals.conversions as uncalibrated_conversions,
        channel_totals.revenue as uncalibrated_revenue,
        hazard_calibration.conversions,
        hazard_calibration.std_error as conversions_std_error,
        hazard_calibration.ratio,
        hazard_calibration.is_calibrated,
        hazard_calibration.test_reason,
        hazard_calibration.test_std_error_needed,
        hazard_calibration.test_priority,
        shared_totals.revenue * hazard_calibration.ratio as revenue,
        case
            when hazard_calibration.is_calibrated
                then greatest(
                    hazard_calibration.conversions - 1.96 * hazard_calibration.std_error, 0.0
                )
            else shared_totals.conversions_low
        end as conversions_low,
        case
            when hazard_calibration.is_calibrated
                then hazard_calibration.conversions + 1.96 * hazard_calibration.std_error
            else shared_totals.conversions_high
        end as conversions_high
    from channel_totals
    inner join shared_totals
        on
            channel_totals.conversion_type = shared_totals.conversion_type
            and channel_totals.channel = shared_totals.channel
    inner join hazard_calibration
        on
            channel_totals.conversion_type = hazard_calibration.conversion_type
            and channel_totals.channel = hazard_calibration.channel

),

moved as (

    -- What calibration takes from channels, or gives them.
    select
        conversion_type,
        sum(conversions - uncalibrated_conversions) as conversions,
        sum(revenue - uncalibrated_revenue) as revenue,
        sqrt(sum(
            case when is_calibrated then conversions_std_error * conversions_std_error else 0.0 end
        )) as std_error
    from of_channels
    group by conversion_type

),

baselines as (

    select
        channel_totals.conversion_type,
        channel_totals.channel,
        channel_totals.conversions as uncalibrated_conversions,
        greatest(
            channel_totals.conversions - coalesce(moved.conversions, 0.0), 0.0
        ) as conversions,
        channel_totals.revenue - coalesce(moved.revenue, 0.0) as revenue,
        sqrt(
            channel_totals.conversions_std_error * channel_totals.conversions_std_error
            + coalesce(moved.std_error * moved.std_error, 0.0)
        ) as conversions_std_error
    from channel_totals
    left join moved
        on channel_totals.conversion_type = moved.conversion_type
    where channel_totals.channel = '(baseline)'

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(uncalibrated_conversions as double) as uncalibrated_conversions,
        cast(conversions as double) as conversions,
        cast(revenue as double) as revenue,
        cast(conversions_std_error as double) as conversions_std_error,
        cast(conversions_low as double) as conversions_low,
        cast(conversions_high as double) as conversions_high,
        cast(ratio as double) as ratio,
        cast(is_calibrated as boolean) as is_calibrated,
        cast(test_reason as varchar) as test_reason,
        cast(test_std_error_needed as double) as test_std_error_needed,
        cast(test_priority as double) as test_priority
    from of_channels
    union all
    select
        conversion_type,
        channel,
        uncalibrated_conversions,
        conversions,
        revenue,
        conversions_std_error,
        greatest(conversions - 1.96 * conversions_std_error, 0.0) as conversions_low,
        conversions + 1.96 * conversions_std_error as conversions_high,
        cast(1 as double) as ratio,
        false as is_calibrated,
        cast(null as varchar) as test_reason,
        cast(null as double) as test_std_error_needed,
        cast(null as double) as test_priority
    from baselines

)

select * from final

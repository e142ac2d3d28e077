-- grain: one row per conversion type and channel, (baseline) among them. Conversions are additive
-- and add up to the attributed conversions, calibrated or not.
with channel_totals as (

    select * from {{ ref('int_hazard_channel_totals') }}

),

hazard_calibration as (

    select * from {{ ref('hazard_calibration') }}

),

summed as (

    select
        conversion_type,
        sum(conversions) as conversions,
        sqrt(sum(std_error * std_error)) as std_error
    from hazard_calibration
    group by conversion_type

),

all_conversions as (

    select
        conversion_type,
        sum(conversions) as conversions
    from channel_totals
    group by conversion_type

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(uncalibrated_conversions as double) as uncalibrated_conversions,
        cast(conversions as double) as conversions,
        cast(std_error as double) as std_error,
        cast(ratio as double) as ratio,
        cast(is_calibrated as boolean) as is_calibrated,
        cast(test_reason as varchar) as test_reason,
        cast(test_std_error_needed as double) as test_std_error_needed,
        cast(test_priority as double) as test_priority
    from hazard_calibration
    union all
    select
        channel_totals.conversion_type,
        channel_totals.channel,
        channel_totals.conversions as uncalibrated_conversions,
        cast(all_conversions.conversions - coalesce(summed.conversions, 0.0) as double)
            as conversions,
        cast(coalesce(summed.std_error, channel_totals.std_error) as double) as std_error,
        cast(1 as double) as ratio,
        false as is_calibrated,
        cast(null as varchar) as test_reason,
        cast(null as double) as test_std_error_needed,
        cast(null as double) as test_priority
    from channel_totals
    inner join all_conversions
        on channel_totals.conversion_type = all_conversions.conversion_type
    left join summed
        on channel_totals.conversion_type = summed.conversion_type
    where channel_totals.channel = '(baseline)'

)

select * from final

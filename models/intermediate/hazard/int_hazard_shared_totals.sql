-- grain: one row per conversion type and channel, (baseline) among them. conversions and revenue
-- are additive and those of int_hazard_channel_totals: half of what prompted touches brought about
-- moves to the channel that prompted them. The rest is not additive.
with channel_totals as (

    select * from {{ ref('int_hazard_channel_totals') }}
    where {{ is_computed('hazard_calibrated') }}

),

prompts as (

    select * from {{ ref('int_hazard_prompts') }}

),

moved as (

    -- Neither channel is worth anything in these touches without the other: half each is the
    -- Shapley value. A channel without any conversion of the type has no row to move to.
    select
        prompted.conversion_type,
        prompted.channel,
        prompts.prompting_channel,
        prompts.prompted_share / 2 as moved_share,
        prompts.prompted_share / 2 * prompted.conversions as conversions,
        prompts.prompted_share / 2 * prompted.revenue as revenue,
        prompts.prompted_share / 2 * coalesce(prompted.conversions_std_error, 0.0) as std_error
    from prompts
    inner join channel_totals as prompted
        on prompts.channel = prompted.channel
    inner join channel_totals as prompting
        on
            prompts.prompting_channel = prompting.channel
            and prompted.conversion_type = prompting.conversion_type

),

given as (

    select
        conversion_type,
        channel,
        sum(moved_share) as share_given,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from moved
    group by conversion_type, channel

),

taken as (

    select
        conversion_type,
        prompting_channel as channel,
        sum(conversions) as conversions,
        sum(revenue) as revenue,
        sum(std_error * std_error) as variance
    from moved
    group by conversion_type, prompting_channel

),

shared as (

    select
        channel_totals.conversion_type,
        channel_totals.channel,
        channel_totals.conversions as unshared_conversions,
        channel_totals.conversions_low as unshared_low,
        channel_totals.conversions_high as unshared_high,
        channel_totals.conversions_std_error as unshared_std_error,
        channel_totals.conversions
        - coalesce(given.conversions, 0.0) + coalesce(taken.conversions, 0.0) as conversions,
        channel_totals.revenue
        - coalesce(given.revenue, 0.0) + coalesce(taken.revenue, 0.0) as revenue,
        sqrt(
            power(
                channel_totals.conversions_std_error * (1.0 - coalesce(given.share_given, 0.0)), 2
            ) + coalesce(taken.variance, 0.0)
        ) as conversions_std_error
    from channel_totals
    left join given
        on
            channel_totals.conversion_type = given.conversion_type
            and channel_totals.channel = given.channel
    left join taken
        on
            channel_totals.conversion_type = taken.conversion_type
            and channel_totals.channel = taken.channel

),

final as (

    -- The interval goes along, as wide as its standard error.
    select
        conversion_type,
        channel,
        cast(conversions as double) as conversions,
        cast(revenue as double) as revenue,
        cast(conversions_std_error as double) as conversions_std_error,
        cast(case
            when unshared_low is not null
                then greatest(conversions + (unshared_low - unshared_conversions) * coalesce(
                    conversions_std_error / nullif(unshared_std_error, 0), 1.0
                ), 0.0)
        end as double) as conversions_low,
        cast(conversions + (unshared_high - unshared_conversions) * coalesce(
            conversions_std_error / nullif(unshared_std_error, 0), 1.0
        ) as double) as conversions_high
    from shared

)

select * from final

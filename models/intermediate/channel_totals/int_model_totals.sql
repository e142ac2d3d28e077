-- grain: one row per enabled attribution model but the ensemble, conversion type and channel
-- credited, (baseline) among them. conversions and revenue are additive within one model; errors
-- are not.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

member_credits as (

    select * from {{ ref('int_member_credits') }}
    where attribution_model not in ({{ quoted_list(channel_total_tables().keys() | list) }})

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

channel_totals as (

    select * from {{ ref('int_channel_totals') }}

),

final as (

    -- Models with totals of their own report those and not the sum of their credits.
    select
        member_credits.attribution_model,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        cast(null as double) as std_error,
        cast(null as double) as conversions_low,
        cast(null as double) as conversions_high,
        {{ exact_sum('member_credits.credit') }} as conversions,
        sum(member_credits.credit * cast(journey_windows.revenue as double)) as revenue
    from member_credits
    inner join journey_touchpoints
        on
            member_credits.source = journey_touchpoints.source
            and member_credits.conversion_id = journey_touchpoints.conversion_id
            and member_credits.touchpoint_id = journey_touchpoints.touchpoint_id
    inner join journey_windows
        on
            member_credits.source = journey_windows.source
            and member_credits.conversion_id = journey_windows.conversion_id
    group by
        member_credits.attribution_model,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel
    union all
    select
        channel_totals.attribution_model,
        channel_totals.conversion_type,
        channel_totals.channel,
        channel_totals.conversions_std_error as std_error,
        channel_totals.conversions_low,
        channel_totals.conversions_high,
        channel_totals.conversions,
        channel_totals.revenue
    from channel_totals
    inner join enabled_models
        on channel_totals.attribution_model = enabled_models.attribution_model

)

select * from final

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

credit_errors as (

    select * from {{ ref('int_credit_errors') }}

),

credited as (

    select
        member_credits.attribution_model,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
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

),

final as (

    -- Models with totals of their own report those and not the sum of their credits.
    select
        credited.attribution_model,
        credited.conversion_type,
        credited.channel,
        credit_errors.std_error,
        case
            when credit_errors.reach is not null
                then greatest(credited.conversions - credit_errors.reach, 0.0)
        end as conversions_low,
        credited.conversions + credit_errors.reach as conversions_high,
        credited.conversions,
        credited.revenue
    from credited
    left join credit_errors
        on
            credited.attribution_model = credit_errors.attribution_model
            and credited.conversion_type = credit_errors.conversion_type
            and credited.channel = credit_errors.channel
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

-- grain: one row per enabled attribution model but the ensemble, conversion type and channel
-- credited, (baseline) among them. conversions and revenue are additive within one model; errors
-- are not.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}
    where
        attribution_model not in (
            {{ quoted_list(channel_total_tables().keys() | list + ['ensemble']) }}
        )

),

channel_totals as (

    select * from {{ ref('int_channel_totals') }}

),

credit_errors as (

    select * from {{ ref('int_credit_errors') }}

),

credited as (

    select
        attribution_model,
        conversion_type,
        channel,
        {{ exact_sum('conversions') }} as conversions,
        sum(revenue) as revenue
    from daily_credits
    group by attribution_model, conversion_type, channel

),

final as (

    -- Models with totals of their own report those and not the sum of their credits.
    select
        credited.attribution_model,
        credited.conversion_type,
        credited.channel,
        credit_errors.std_error,
        {{ or_nothing('credited.conversions - credit_errors.reach') }} as conversions_low,
        {{ or_nothing('credited.conversions + credit_errors.reach') }} as conversions_high,
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

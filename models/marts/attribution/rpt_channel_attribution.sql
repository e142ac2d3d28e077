-- grain: one row per attribution model, conversion type and channel. conversions and revenue are
-- additive within one model and, with the (unattributed) row, add up to all conversions; errors are
-- not additive. Every channel has its row, also where a model credits it with nothing.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

touchpoint_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}
    where attribution_model not in ({{ quoted_list(channel_total_models()) }})

),

channel_totals as (

    select * from {{ ref('int_channel_totals') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

channels as (

    select * from {{ ref('dim_channels') }}

),

conversion_types as (

    select distinct conversion_type
    from conversions

),

credited as (

    -- Models with totals of their own report those and not the sum of their credits.
    select
        attribution_model,
        conversion_type,
        channel,
        null as std_error,
        null as conversions_low,
        null as conversions_high,
        sum(credit) as conversions,
        sum(credited_revenue) as revenue
    from touchpoint_credits
    group by attribution_model, conversion_type, channel
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

),

unattributed as (

    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        '(unattributed)' as channel,
        null as std_error,
        null as conversions_low,
        null as conversions_high,
        cast(count(*) as double) as conversions,
        cast(sum(conversions.revenue) as double) as revenue
    from conversions
    cross join enabled_models
    where not conversions.is_attributed
    group by enabled_models.attribution_model, conversions.conversion_type

),

measured as (

    select * from credited
    union all
    select * from unattributed

),

final as (

    select
        enabled_models.attribution_model,
        conversion_types.conversion_type,
        channels.channel,
        measured.std_error,
        measured.conversions_low,
        measured.conversions_high,
        coalesce(measured.conversions, 0) as conversions,
        coalesce(measured.revenue, 0) as revenue,
        case
            when channels.channel = '(unattributed)' then 0
            else coalesce(
                measured.conversions / nullif(
                    sum(
                        case when channels.channel != '(unattributed)' then measured.conversions end
                    ) over (
                        partition by
                            enabled_models.attribution_model, conversion_types.conversion_type
                    ),
                    0
                ),
                0
            )
        end as share
    from enabled_models
    cross join conversion_types
    cross join channels
    left join measured
        on
            enabled_models.attribution_model = measured.attribution_model
            and conversion_types.conversion_type = measured.conversion_type
            and channels.channel = measured.channel

)

select * from final

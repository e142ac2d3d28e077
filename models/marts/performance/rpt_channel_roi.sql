-- grain: one row per attribution model, conversion type and channel, over the whole reporting
-- period. conversions, revenue and profit are additive within one model and conversion type; spend
-- is repeated for every model and type; bounds and ratios are not additive. There is no row of
-- totals.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

channel_attribution as (

    select * from {{ ref('rpt_channel_attribution') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}
    where {{ in_reporting_period('spend_date') }}

),

channels as (

    select * from {{ ref('dim_channels') }}

),

conversion_types as (

    -- Without any conversion spend is still reported, under the default type.
    select distinct conversion_type
    from channel_attribution
    union all
    select 'purchase' as conversion_type
    where not exists (select 1 from channel_attribution)

),

channel_spend as (

    select
        channel,
        sum(spend) as spend
    from spend_rows
    group by channel

),

measured as (

    -- Revenue moves with the conversions: its bounds are those of the conversions, at the channel's
    -- revenue per conversion (that of all channels, where it has no conversion).
    select
        enabled_models.attribution_model,
        conversion_types.conversion_type,
        channels.channel,
        channels.is_paid,
        channel_attribution.conversions_low,
        channel_attribution.conversions_high,
        cast(coalesce(channel_spend.spend, 0) as decimal(38, 10)) as spend,
        coalesce(channel_attribution.conversions, 0) as conversions,
        coalesce(channel_attribution.revenue, 0) as revenue,
        coalesce(
            channel_attribution.revenue / nullif(channel_attribution.conversions, 0),
            sum(channel_attribution.revenue) over model_and_type
            / nullif(sum(channel_attribution.conversions) over model_and_type, 0)
        ) as revenue_per_conversion
    from enabled_models
    cross join conversion_types
    cross join channels
    left join channel_attribution
        on
            enabled_models.attribution_model = channel_attribution.attribution_model
            and conversion_types.conversion_type = channel_attribution.conversion_type
            and channels.channel = channel_attribution.channel
    left join channel_spend
        on channels.channel = channel_spend.channel
    window
        model_and_type as (
            partition by enabled_models.attribution_model, conversion_types.conversion_type
        )

),

final as (

    select
        attribution_model,
        conversion_type,
        channel,
        is_paid,
        spend,
        conversions,
        conversions_low,
        conversions_high,
        revenue,
        revenue - cast(spend as double) as profit,
        {{ cpo('spend', 'conversions') }} as cpo,
        -- Spend that comes back, by a correction, costs least where conversions are fewest.
        {{ cpo('spend', 'case when spend < 0 then conversions_low else conversions_high end') }}
            as cpo_low,
        {{ cpo('spend', 'case when spend < 0 then conversions_high else conversions_low end') }}
            as cpo_high,
        case when is_paid then {{ roas('revenue', 'spend') }} end as roas,
        {% for bound, least in {'low': 'least', 'high': 'greatest'}.items() %}
        case
            when is_paid and conversions_low is not null
                then {{ least }}(
                    {{ roas('revenue_per_conversion * conversions_low', 'spend') }},
                    {{ roas('revenue_per_conversion * conversions_high', 'spend') }}
                )
        end as roas_{{ bound }},
        {% endfor %}
        case when is_paid then 100 * ({{ roas('revenue', 'spend') }} - 1) end as roi_percent
    from measured

)

select * from final

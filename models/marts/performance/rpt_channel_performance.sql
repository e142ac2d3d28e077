-- grain: one row per date (of the touchpoint and of the spend), channel, conversion type and
-- attribution model. conversions and revenue are additive within one model; spend is repeated for
-- every conversion type and model, so add it up within one of each. cpo and roas are not additive.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

spend_rows as (

    select * from {{ ref('int_spend') }}
    where {{ in_reporting_period('spend_date') }}

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

channels as (

    select * from {{ ref('dim_channels') }}

),

conversion_types as (

    -- Without any conversion spend is still reported, under the default type.
    select distinct conversion_type
    from conversions
    union all
    select 'purchase' as conversion_type
    where not exists (select 1 from conversions)

),

daily_spend as (

    select
        spend_date as date,
        channel,
        sum(spend) as spend
    from spend_rows
    group by spend_date, channel

),

measures as (

    select
        daily_spend.date,
        daily_spend.channel,
        conversion_types.conversion_type,
        enabled_models.attribution_model,
        daily_spend.spend,
        0 as conversions,
        0 as revenue
    from daily_spend
    cross join conversion_types
    cross join enabled_models
    union all
    select
        date,
        channel,
        conversion_type,
        attribution_model,
        0 as spend,
        conversions,
        revenue
    from daily_credits
    union all
    select
        cast(conversions.converted_at as date) as date,
        '(unattributed)' as channel,
        conversions.conversion_type,
        enabled_models.attribution_model,
        0 as spend,
        1 as conversions,
        conversions.revenue
    from conversions
    cross join enabled_models
    where not conversions.is_attributed

),

aggregated as (

    select
        date,
        channel,
        conversion_type,
        attribution_model,
        cast(sum(spend) as decimal(38, 10)) as spend,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from measures
    group by date, channel, conversion_type, attribution_model

),

final as (

    select
        aggregated.date,
        aggregated.channel,
        aggregated.conversion_type,
        aggregated.attribution_model,
        aggregated.spend,
        aggregated.conversions,
        aggregated.revenue,
        case
            when {{ in_reporting_period('aggregated.date') }}
                then {{ cpo('aggregated.spend', 'aggregated.conversions') }}
        end as cpo,
        case
            when channels.is_paid then {{ roas('aggregated.revenue', 'aggregated.spend') }}
        end as roas
    from aggregated
    inner join channels
        on aggregated.channel = channels.channel

)

select * from final

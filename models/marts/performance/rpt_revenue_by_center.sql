-- grain: one row per attribution model, conversion type, revenue center and channel. conversions
-- and revenue are additive within one model and conversion type: per revenue center they add up to
-- all of its conversions and revenue. They are sums of credits per touchpoint.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

credited as (

    select
        attribution_model,
        conversion_type,
        channel,
        conversions,
        revenue,
        revenue_center
    from daily_credits
    union all
    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        '(unattributed)' as channel,
        1 as conversions,
        conversions.revenue,
        coalesce(conversions.revenue_center, '(none)') as revenue_center
    from conversions
    cross join enabled_models
    where not conversions.is_attributed

),

final as (

    select
        attribution_model,
        conversion_type,
        revenue_center,
        channel,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from credited
    group by attribution_model, conversion_type, revenue_center, channel

)

select * from final

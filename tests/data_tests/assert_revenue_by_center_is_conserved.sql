-- Per enabled model, conversion type and revenue center, what channels are credited with and what
-- is unattributed add up to all conversions and, to the cent, to all revenue.
with conversions as (

    select * from {{ ref('fct_conversions') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

revenue_by_center as (

    select * from {{ ref('rpt_revenue_by_center') }}

),

expected as (

    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        coalesce(conversions.revenue_center, '(none)') as revenue_center,
        count(*) as conversions,
        sum(conversions.revenue) as revenue
    from conversions
    cross join enabled_models
    group by
        enabled_models.attribution_model,
        conversions.conversion_type,
        coalesce(conversions.revenue_center, '(none)')

),

reported as (

    select
        attribution_model,
        conversion_type,
        revenue_center,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from revenue_by_center
    group by attribution_model, conversion_type, revenue_center

)

select
    expected.*,
    reported.conversions as reported_conversions,
    reported.revenue as reported_revenue
from expected
left join reported
    on
        expected.attribution_model = reported.attribution_model
        and expected.conversion_type = reported.conversion_type
        and expected.revenue_center = reported.revenue_center
where
    (
        abs(reported.conversions - expected.conversions) < 1e-6
        and {{ is_same_money('reported.revenue', 'expected.revenue') }}
    ) is not true

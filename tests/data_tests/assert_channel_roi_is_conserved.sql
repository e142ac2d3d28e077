-- Per enabled model and conversion type, the spend of the reporting period, all conversions and, to
-- the cent, all revenue are in rpt_channel_roi, whole.
with spend_rows as (

    select * from {{ ref('int_spend') }}
    where {{ in_reporting_period('spend_date') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

channel_roi as (

    select * from {{ ref('rpt_channel_roi') }}

),

total_spend as (

    select coalesce(sum(spend), 0) as spend
    from spend_rows

),

expected as (

    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        count(*) as conversions,
        sum(conversions.revenue) as revenue
    from conversions
    cross join enabled_models
    group by enabled_models.attribution_model, conversions.conversion_type
    union all
    select
        attribution_model,
        'purchase' as conversion_type,
        0 as conversions,
        0 as revenue
    from enabled_models
    where not exists (select 1 from conversions)

),

reported as (

    select
        attribution_model,
        conversion_type,
        sum(spend) as spend,
        sum(conversions) as conversions,
        sum(revenue) as revenue
    from channel_roi
    group by attribution_model, conversion_type

)

select
    expected.*,
    total_spend.spend,
    reported.spend as reported_spend,
    reported.conversions as reported_conversions,
    reported.revenue as reported_revenue
from expected
cross join total_spend
left join reported
    on
        expected.attribution_model = reported.attribution_model
        and expected.conversion_type = reported.conversion_type
where
    (
        {{ is_same_money('reported.spend', 'total_spend.spend') }}
        and abs(reported.conversions - expected.conversions) < 1e-6
        and {{ is_same_money('reported.revenue', 'expected.revenue') }}
    ) is not true

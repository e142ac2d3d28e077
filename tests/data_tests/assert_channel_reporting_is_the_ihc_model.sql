-- The challenge's report credits all attributed conversions and, to the cent, their revenue, over
-- all conversion types that sources deliver (nothing, where the ihc model is not enabled).
with channel_reporting as (

    select * from {{ ref('channel_reporting') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}
    where is_attributed

),

conversion_types as (

    select * from {{ ref('conversion_types') }}
    where is_enabled

),

ihc_model as (

    select * from {{ ref('attribution_models') }}
    where attribution_model = 'ihc' and is_enabled

),

reported as (

    select
        coalesce(sum(ihc), 0) as conversions,
        coalesce(sum(ihc_revenue), 0) as revenue
    from channel_reporting

),

expected as (

    select
        count(*) as conversions,
        coalesce(sum(revenue), 0) as revenue
    from conversions
    where
        conversion_type not in (select conversion_types.conversion_type from conversion_types)
        and exists (select 1 from ihc_model)

)

select
    reported.conversions as reported_conversions,
    expected.conversions as expected_conversions,
    reported.revenue as reported_revenue,
    expected.revenue as expected_revenue
from reported
cross join expected
where
    (
        abs(reported.conversions - expected.conversions) < 1e-6
        and {{ is_same_money('reported.revenue', 'expected.revenue') }}
    ) is not true

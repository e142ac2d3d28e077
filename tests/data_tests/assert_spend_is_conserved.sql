-- Per channel and day, the spend of the reporting period is in the marts, whole, under every
-- enabled model and conversion type; and the marts have no spend besides.
with spend_rows as (

    select * from {{ ref('int_spend') }}
    where {{ in_reporting_period('spend_date') }}

),

channel_performance as (

    select * from {{ ref('rpt_channel_performance') }}

),

channel_reporting as (

    select * from {{ ref('channel_reporting') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

conversion_types as (

    select distinct conversion_type
    from {{ ref('fct_conversions') }}

),

expected as (

    select
        enabled_models.attribution_model,
        coalesce(conversion_types.conversion_type, 'purchase') as conversion_type,
        spend_rows.channel,
        spend_rows.spend_date as date,
        sum(spend_rows.spend) as spend
    from spend_rows
    cross join enabled_models
    left join conversion_types
        on true
    group by
        enabled_models.attribution_model,
        conversion_types.conversion_type,
        spend_rows.channel,
        spend_rows.spend_date
    union all
    select
        'channel_reporting' as attribution_model,
        'all' as conversion_type,
        spend_rows.channel,
        spend_rows.spend_date as date,
        sum(spend_rows.spend) as spend
    from spend_rows
    inner join enabled_models
        on enabled_models.attribution_model = 'ihc'
    group by spend_rows.channel, spend_rows.spend_date

),

reported as (

    select
        attribution_model,
        conversion_type,
        channel,
        date,
        spend
    from channel_performance
    union all
    select
        'channel_reporting' as attribution_model,
        'all' as conversion_type,
        channel_name as channel,
        date,
        cost as spend
    from channel_reporting

)

select
    expected.spend as expected_spend,
    reported.spend as reported_spend,
    coalesce(expected.attribution_model, reported.attribution_model) as attribution_model,
    coalesce(expected.conversion_type, reported.conversion_type) as conversion_type,
    coalesce(expected.channel, reported.channel) as channel,
    coalesce(expected.date, reported.date) as date
from expected
full outer join reported
    on
        expected.attribution_model = reported.attribution_model
        and expected.conversion_type = reported.conversion_type
        and expected.channel = reported.channel
        and expected.date = reported.date
where
    (coalesce(expected.spend, 0) = reported.spend) is not true

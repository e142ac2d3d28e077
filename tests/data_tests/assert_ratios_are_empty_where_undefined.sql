-- CPO and ROAS are the ratios of their row's measures and empty where the denominator is 0; CPO
-- also outside the reporting period, where spend is not reported, and ROAS for unpaid channels.
with channel_performance as (

    select * from {{ ref('rpt_channel_performance') }}

),

channels as (

    select * from {{ ref('dim_channels') }}

),

recomputed as (

    select
        channel_performance.date,
        channel_performance.channel,
        channel_performance.conversion_type,
        channel_performance.attribution_model,
        channel_performance.cpo,
        channel_performance.roas,
        case
            when channel_performance.conversions = 0 then null
            when not ({{ in_reporting_period('channel_performance.date') }}) then null
            else channel_performance.spend / channel_performance.conversions
        end as expected_cpo,
        case
            when channel_performance.spend = 0 then null
            when not channels.is_paid then null
            else channel_performance.revenue / channel_performance.spend
        end as expected_roas
    from channel_performance
    left join channels
        on channel_performance.channel = channels.channel

)

select *
from recomputed
where
    coalesce(abs(cpo - expected_cpo) > 1e-9 * abs(expected_cpo), cpo is not null)
    or coalesce(abs(roas - expected_roas) > 1e-9 * abs(expected_roas), roas is not null)
    or (cpo is null and expected_cpo is not null)
    or (roas is null and expected_roas is not null)

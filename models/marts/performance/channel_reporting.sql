-- grain: one row per channel and date; the ihc model over all conversion types. cost, ihc and
-- ihc_revenue are additive; cpo and roas are not.
with channel_performance as (

    select * from {{ ref('rpt_channel_performance') }}
    where
        attribution_model = 'ihc'
        and channel != '(unattributed)'

),

aggregated as (

    -- Spend is repeated for every conversion type: any one of them has all of it.
    select
        channel as channel_name,
        date,
        max(spend) as cost,
        sum(conversions) as ihc,
        sum(revenue) as ihc_revenue
    from channel_performance
    group by channel, date

),

final as (

    select
        channel_name,
        date,
        cost,
        ihc,
        ihc_revenue,
        case when {{ in_reporting_period('date') }} then {{ cpo('cost', 'ihc') }} end as cpo,
        {{ roas('ihc_revenue', 'cost') }} as roas
    from aggregated

)

select * from final

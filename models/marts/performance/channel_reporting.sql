-- grain: one row per channel and date; the ihc model over all conversion types that sources
-- deliver. cost, ihc and ihc_revenue are additive; cpo and roas are not.
with channel_performance as (

    select * from {{ ref('rpt_channel_performance') }}
    where
        attribution_model = 'ihc'
        and channel != '(unattributed)'

),

conversion_types as (

    select * from {{ ref('conversion_types') }}

),

aggregated as (

    -- Spend is repeated for every conversion type: any one of them has all of it. The stages of the
    -- seed conversion_types are no further orders.
    select
        channel_performance.channel as channel_name,
        channel_performance.date,
        cast(coalesce(sum(
            case
                when conversion_types.conversion_type is null then channel_performance.conversions
            end
        ), 0) as double) as ihc,
        cast(coalesce(sum(
            case when conversion_types.conversion_type is null then channel_performance.revenue end
        ), 0) as double) as ihc_revenue,
        max(channel_performance.spend) as cost
    from channel_performance
    left join conversion_types
        on
            channel_performance.conversion_type = conversion_types.conversion_type
            and conversion_types.is_enabled
    group by channel_performance.channel, channel_performance.date

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

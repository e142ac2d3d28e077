-- Which channels cost money and are credited with no conversion by any model?
select
    channel,
    max(spend) as spend
from (
    select
        channel,
        attribution_model,
        conversion_type,
        sum(spend) as spend,
        sum(conversions) as conversions
    from {{ ref('rpt_channel_performance') }}
    group by channel, attribution_model, conversion_type
) as totals
group by channel
having sum(conversions) = 0 and max(spend) > 0
order by spend desc

-- On which channels do the models disagree most, and what would each give?
select
    conversion_type,
    channel,
    min(share) as lowest_share,
    max(share) as highest_share,
    arg_min(attribution_model, share) as lowest_model,
    arg_max(attribution_model, share) as highest_model
from {{ ref('rpt_channel_attribution') }}
group by conversion_type, channel
order by max(share) - min(share) desc

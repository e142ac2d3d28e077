-- How did the conversion with the longest journey come about, and what does each model make of it?
with longest as (

    select
        source,
        conversion_id
    from {{ ref('fct_conversions') }}
    order by touchpoint_count desc, source asc, conversion_id asc
    limit 1

)

select
    credits.touched_at,
    credits.channel,
    {{ pivoted_by_model('credits.credit') }}
from {{ ref('fct_touchpoint_credits') }} as credits
inner join longest
    on
        credits.source = longest.source
        and credits.conversion_id = longest.conversion_id
group by credits.touched_at, credits.touchpoint_id, credits.channel
order by credits.touched_at, credits.touchpoint_id

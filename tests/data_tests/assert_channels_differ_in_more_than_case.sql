-- Channels that differ in upper and lower case alone: the touches of one and the spend of the other
-- would never meet. Write them alike, in the sources or in seeds/channel_rules.csv.
{{ config(severity='warn', meta={'tells': 'channel'}) }}

select
    lower(channel) as channel,
    count(*) as spellings
from {{ ref('dim_channels') }}
group by lower(channel)
having count(*) > 1

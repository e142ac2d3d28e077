-- Channels that the seed channel_groups does not list: they are (ungrouped), paid if money was
-- spent on them, and never passed over as direct. Add a row for each to seeds/channel_groups.csv.
{{ config(severity='warn', meta={'tells': 'channel'}) }}

select
    channel,
    is_paid
from {{ ref('dim_channels') }}
where channel_group = '(ungrouped)'

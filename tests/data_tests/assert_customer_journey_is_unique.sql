-- A conversion and session of the challenge's table stand in one row. The table has no column for
-- the source, so with several sources one pair of ids may come from two of them.
{{ config(severity='error' if enabled_sources() | length == 1 else 'warn') }}

with customer_journey as (

    select * from {{ ref('attribution_customer_journey') }}

)

select
    conv_id,
    session_id,
    count(*) as row_count
from customer_journey
group by conv_id, session_id
having count(*) > 1 or conv_id is null or session_id is null

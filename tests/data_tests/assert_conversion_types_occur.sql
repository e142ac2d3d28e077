-- Types of the seed conversion_types that no event is of, although there are such events: their
-- filter lets none through, and no report knows the type.
{{ config(severity='warn', meta={'tells': 'conversion_type'}) }}

with conversion_types as (

    select * from {{ ref('conversion_types') }}
    where is_enabled

),

events as (

    select distinct event from {{ ref('int_events') }}

),

conversions as (

    select distinct conversion_type from {{ ref('int_conversions') }}

)

select
    conversion_types.conversion_type,
    conversion_types.event,
    conversion_types.event_filter
from conversion_types
inner join events
    on conversion_types.event = events.event
left join conversions
    on conversion_types.conversion_type = conversions.conversion_type
where conversions.conversion_type is null

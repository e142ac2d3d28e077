-- Types of the seed conversion_types that no event is of, although there are such events: the filter
-- lets none through, and no report knows the type.
{{ config(severity='warn', meta={'tells': 'conversion_type'}) }}

select
    conversion_types.conversion_type,
    conversion_types.event,
    conversion_types.event_filter
from {{ ref('conversion_types') }} as conversion_types
inner join (select distinct event from {{ ref('int_events') }}) as events
    on conversion_types.event = events.event
left join (select distinct conversion_type from {{ ref('int_conversions') }}) as conversions
    on conversion_types.conversion_type = conversions.conversion_type
where conversion_types.is_enabled and conversions.conversion_type is null

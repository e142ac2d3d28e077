-- Conversion types that differ in upper and lower case alone: each has a part of the conversions.
-- Write them alike in the sources.
{{ config(severity='warn', meta={'tells': 'conversion_type'}) }}

select
    lower(conversion_type) as conversion_type,
    count(distinct conversion_type) as spellings
from {{ ref('int_conversion_types') }}
group by lower(conversion_type)
having count(distinct conversion_type) > 1

-- Sources whose conversions of a type are all at midnight: days without times. Touches of the same
-- day come after them, and earn nothing.
{{ config(severity='warn', meta={'tells': 'found'}) }}

select
    source,
    conversion_type,
    concat(source, ', ', conversion_type, ' (', count(*), ')') as found
from {{ ref('int_conversions') }}
group by source, conversion_type
having count(*) >= 20 and bool_and(converted_at = cast(cast(converted_at as date) as timestamp))

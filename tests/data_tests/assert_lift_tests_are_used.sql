-- Lift tests that calibrate nothing, and why: see the column unused_reason of int_lift_tests. Mend
-- the name of the channel or of the conversion type, or report all days of the test.
{{ config(
    severity='warn',
    meta={'tells': "concat(channel, ', from ', start_date, ': ', unused_reason)"}
) }}

select
    conversion_type,
    channel,
    kind,
    start_date,
    end_date,
    unused_reason
from {{ ref('int_lift_tests') }}
where unused_reason is not null

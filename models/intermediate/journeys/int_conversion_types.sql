-- grain: one row per source and conversion type that occurs by the end of the reporting period.
with conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

final as (

    select distinct
        source,
        conversion_type,
        is_once_only
    from conversions

)

select * from final

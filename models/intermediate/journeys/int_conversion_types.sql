-- grain: one row per source and conversion type that occurs by the end of the reporting period.
with conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

repeated as (

    select
        conversion_type,
        person_key
    from conversions
    group by conversion_type, person_key
    having min(converted_at) < max(converted_at)

),

repeated_types as (

    select distinct conversion_type
    from repeated

),

final as (

    select distinct
        conversions.source,
        conversions.conversion_type,
        conversions.is_once_only,
        repeated_types.conversion_type is not null as is_repeated
    from conversions
    left join repeated_types
        on conversions.conversion_type = repeated_types.conversion_type

)

select * from final

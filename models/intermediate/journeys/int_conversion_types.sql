-- grain: one row per source and conversion type that occurs in it.
with conversions as (

    select * from {{ ref('int_conversions') }}

),

final as (

    select distinct
        source,
        conversion_type
    from conversions

)

select * from final

-- grain: one row per source and conversion.
with delivered_conversions as (

    select * from {{ ref('int_delivered_conversions') }}

),

final as (

    select
        source,
        conversion_id,
        user_id as person_id,
        conversion_type,
        currency,
        revenue,
        converted_at
    from delivered_conversions

)

select * from final

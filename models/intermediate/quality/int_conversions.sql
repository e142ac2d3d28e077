-- grain: one row per source and conversion. Of several rows with one id the earliest is kept.
with checked as (

    select * from {{ ref('int_conversions_checked') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by source, conversion_id
            order by {{ delivery_order('conversions') }}
        ) as delivery_number
    from checked
    where rejection_reason is null

),

final as (

    select
        source,
        conversion_id,
        person_id,
        conversion_type,
        currency,
        revenue,
        converted_at
    from ranked
    where delivery_number = 1

)

select * from final

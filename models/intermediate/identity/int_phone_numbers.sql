-- grain: one row per phone number, as written.
{{ config(schema='restricted') }}

with phone_numbers as (

    select * from {{ ref('phone_numbers') }}

),

final as (

    select
        cast(number as varchar) as contact_value,
        cast(e164 as varchar) as phone,
        cast(extension as varchar) as extension,
        cast(phone_hash as varchar) as contact_hash,
        cast(rejection_reason as varchar) as rejection_reason
    from phone_numbers

)

select * from final

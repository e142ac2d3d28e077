-- grain: one row per e-mail address, as written.
{{ config(schema='restricted') }}

with email_addresses as (

    select * from {{ ref('email_addresses') }}

),

final as (

    select
        cast(address as varchar) as contact_value,
        cast(email as varchar) as email,
        cast(email_hash as varchar) as contact_hash,
        cast(rejection_reason as varchar) as rejection_reason
    from email_addresses

)

select * from final

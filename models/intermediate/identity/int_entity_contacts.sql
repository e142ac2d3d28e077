-- grain: one row per source, entity (user, customer, call or form) and contact of it. A contact
-- that cannot be used has no hash but a reason, and is here once per reason.
with contact_values as (

    select * from {{ ref('int_contact_values') }}

),

phone_numbers as (

    select * from {{ ref('int_phone_numbers') }}

),

email_addresses as (

    select * from {{ ref('int_email_addresses') }}

),

parsed as (

    select
        'phone' as contact_type,
        contact_value,
        contact_hash,
        rejection_reason
    from phone_numbers
    union all
    select
        'email' as contact_type,
        contact_value,
        contact_hash,
        rejection_reason
    from email_addresses

),

final as (

    select distinct
        contact_values.source,
        contact_values.entity,
        contact_values.entity_key,
        contact_values.contact_type,
        parsed.contact_hash,
        parsed.rejection_reason
    from contact_values
    inner join parsed
        on
            contact_values.contact_type = parsed.contact_type
            and contact_values.contact_value = parsed.contact_value

)

select * from final

-- grain: one row per source and customer: what tells a person apart.
{{ config(schema='restricted', materialized='view') }}

with customers as (

    select * from {{ ref('int_customers') }}

),

contact_values as (

    select * from {{ ref('int_contact_values') }}
    where entity = 'customer'

),

phone_numbers as (

    select * from {{ ref('int_phone_numbers') }}

),

email_addresses as (

    select * from {{ ref('int_email_addresses') }}

),

contacts as (

    select
        contact_values.source,
        contact_values.entity_key as customer_id,
        min(phone_numbers.phone) as phone,
        min(email_addresses.email) as email
    from contact_values
    left join phone_numbers
        on
            contact_values.contact_type = 'phone'
            and contact_values.contact_value = phone_numbers.contact_value
    left join email_addresses
        on
            contact_values.contact_type = 'email'
            and contact_values.contact_value = email_addresses.contact_value
    group by contact_values.source, contact_values.entity_key

),

final as (

    select
        customers.source,
        customers.customer_id,
        customers.first_name,
        customers.last_name,
        customers.birth_date,
        customers.city,
        contacts.phone,
        contacts.email
    from customers
    left join contacts
        on customers.source = contacts.source and customers.customer_id = contacts.customer_id

)

select * from final

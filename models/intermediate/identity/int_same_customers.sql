-- grain: one row per pair of customers of one source that are one person and rule that says so. Not
-- every pair of one person is here: chains of pairs are.
with contacts as (

    select * from {{ ref('int_entity_contacts') }}

),

hubs as (

    select * from {{ ref('int_identity_hubs') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

matches as (

    select * from {{ ref('int_customer_matches') }}

),

customer_contacts as (

    select
        contacts.source,
        contacts.entity_key as customer_id,
        contacts.contact_type,
        contacts.contact_hash
    from contacts
    left join hubs
        on
            contacts.source = hubs.source
            and contacts.contact_type = hubs.entity
            and contacts.contact_hash = hubs.entity_key
    where
        contacts.entity = 'customer'
        and contacts.contact_hash is not null
        and hubs.entity_key is null

),

contact_pairs as (

    select
        phones.source,
        phones.customer_id,
        phones.contact_hash as phone_hash,
        emails.contact_hash as email_hash,
        lower(customers.first_name) as first_name
    from customer_contacts as phones
    inner join customer_contacts as emails
        on phones.source = emails.source and phones.customer_id = emails.customer_id
    left join customers
        on phones.source = customers.source and phones.customer_id = customers.customer_id
    where phones.contact_type = 'phone' and emails.contact_type = 'email'

),

names as (

    select
        source,
        phone_hash,
        email_hash,
        min(first_name) as first_of_names,
        max(first_name) as last_of_names
    from contact_pairs
    group by source, phone_hash, email_hash

),

nameless as (

    -- A customer without a first name has that of those it shares contacts with, if they agree: it
    -- must not join two people who are told apart by theirs.
    select
        contact_pairs.source,
        contact_pairs.customer_id,
        min(names.first_of_names) as first_of_names,
        max(names.last_of_names) as last_of_names
    from contact_pairs
    inner join names
        on
            contact_pairs.source = names.source
            and contact_pairs.phone_hash = names.phone_hash
            and contact_pairs.email_hash = names.email_hash
    where contact_pairs.first_name is null
    group by contact_pairs.source, contact_pairs.customer_id

),

named as (

    select
        contact_pairs.source,
        contact_pairs.customer_id,
        contact_pairs.phone_hash,
        contact_pairs.email_hash,
        coalesce(contact_pairs.first_name, nameless.first_of_names, '') as name_shared
    from contact_pairs
    left join nameless
        on
            contact_pairs.source = nameless.source
            and contact_pairs.customer_id = nameless.customer_id
    where nameless.first_of_names is not distinct from nameless.last_of_names

),

sharing as (

    select
        source,
        customer_id,
        min(customer_id) over (
            partition by source, phone_hash, email_hash, name_shared
        ) as first_customer_id
    from named

),

final as (

    select distinct
        source,
        first_customer_id as left_customer_id,
        customer_id as right_customer_id,
        'same_customer' as rule
    from sharing
    where first_customer_id != customer_id
    union all
    select
        source,
        left_customer_id,
        right_customer_id,
        'probabilistic' as rule
    from matches

)

select * from final

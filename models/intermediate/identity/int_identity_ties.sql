-- grain: one row per source, pair of things that a source ties to each other, and rule. The left
-- one is an entity (user, customer, call or form), the right one an entity or a contact.
with calls as (

    select * from {{ ref('int_calls') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

),

contacts as (

    select * from {{ ref('int_entity_contacts') }}

),

final as (

    select
        source,
        'call' as left_entity,
        call_id as left_key,
        'user' as right_entity,
        user_id as right_key,
        'visitor' as rule
    from calls
    where user_id is not null
    union all
    select
        source,
        'form' as left_entity,
        link_id as left_key,
        'user' as right_entity,
        user_id as right_key,
        'visitor' as rule
    from identity_links
    where kind = 'form' and user_id is not null
    union all
    select
        source,
        'form' as left_entity,
        link_id as left_key,
        'customer' as right_entity,
        customer_id as right_key,
        'login' as rule
    from identity_links
    where kind = 'form' and customer_id is not null
    union all
    select distinct
        source,
        'user' as left_entity,
        user_id as left_key,
        'customer' as right_entity,
        customer_id as right_key,
        'login' as rule
    from identity_links
    where user_id is not null and customer_id is not null
    union all
    select
        source,
        entity as left_entity,
        entity_key as left_key,
        contact_type as right_entity,
        contact_hash as right_key,
        contact_type as rule
    from contacts
    where contact_hash is not null

)

select * from final

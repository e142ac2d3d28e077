-- grain: one row per node of the identity graph: a cookie that is tied to something, a
-- customer, a call, a form or a contact. Numbered from 0 so that the earliest entity of a
-- person is its smallest node; a customer without a date comes before all others, so that
-- nothing later renames it.
with calls as (

    select * from {{ ref('int_calls') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

),

ties as (

    select * from {{ ref('int_identity_ties') }}

),

sessions as (

    select * from {{ ref('int_sessions') }}

),

cookies_seen as (

    select
        source,
        user_id,
        called_at as seen_at
    from calls
    where user_id is not null
    union all
    select
        source,
        user_id,
        linked_at as seen_at
    from identity_links
    where user_id is not null

),

cookies as (

    select
        source,
        user_id,
        min(seen_at) as seen_at
    from cookies_seen
    group by source, user_id

),

first_sessions as (

    select
        cookies.source,
        cookies.user_id,
        min(sessions.started_at) as started_at
    from sessions
    inner join cookies
        on sessions.source = cookies.source and sessions.user_id = cookies.user_id
    group by cookies.source, cookies.user_id

),

unlisted_customers as (

    -- Customers that log in and are not in the customer list, or in none.
    select
        identity_links.source,
        identity_links.customer_id,
        min(identity_links.linked_at) as linked_at
    from identity_links
    left join customers
        on
            identity_links.source = customers.source
            and identity_links.customer_id = customers.customer_id
    where identity_links.customer_id is not null and customers.customer_id is null
    group by identity_links.source, identity_links.customer_id

),

nodes as (

    select
        cookies.source,
        'user' as entity,
        cookies.user_id as entity_key,
        case
            when first_sessions.started_at < cookies.seen_at then first_sessions.started_at
            else cookies.seen_at
        end as first_seen_at
    from cookies
    left join first_sessions
        on cookies.source = first_sessions.source and cookies.user_id = first_sessions.user_id
    union all
    select
        source,
        'customer' as entity,
        customer_id as entity_key,
        created_at as first_seen_at
    from customers
    union all
    select
        source,
        'customer' as entity,
        customer_id as entity_key,
        linked_at as first_seen_at
    from unlisted_customers
    union all
    select
        source,
        'call' as entity,
        call_id as entity_key,
        called_at as first_seen_at
    from calls
    union all
    select
        source,
        'form' as entity,
        link_id as entity_key,
        linked_at as first_seen_at
    from identity_links
    where kind = 'form'
    union all
    select distinct
        source,
        right_entity as entity,
        right_key as entity_key,
        cast(null as timestamp) as first_seen_at
    from ties
    where right_entity in ('phone', 'email')

),

final as (

    select
        source,
        entity,
        entity_key,
        first_seen_at,
        entity = 'customer' as is_customer,
        row_number() over (
            order by
                entity in ('phone', 'email'), first_seen_at nulls first, source, entity, entity_key
        ) - 1 as node
    from nodes

)

select * from final

-- grain: one row per source and touchpoint, as the source names it: a session, a call, a form
-- fill or the referral of a customer. A view: few rows need their names, and join touchpoint_key.
{{ config(materialized='view') }}

with sessions as (

    select * from {{ ref('int_sessions') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

traffic_channels as (

    select * from {{ ref('int_traffic_channels') }}

),

referred_customers as (

    -- What refers a customer may be an id that nobody has explained: then it is no touchpoint.
    select customers.*
    from customers
    inner join traffic_channels
        on
            customers.source = traffic_channels.source
            and customers.traffic = traffic_channels.traffic
    where
        customers.created_at is not null
        and traffic_channels.channel is not null

),

unioned as (

    select
        source,
        session_key as touchpoint_key,
        session_id as touchpoint_id,
        'session' as touchpoint_type,
        'user' as entity,
        user_id as entity_key,
        {{ own_person_id('user', 'user_id') }} as own_person_id,
        campaign,
        channel,
        started_at as touched_at,
        holder_engagement,
        closer_engagement,
        impression_interaction,
        traffic,
        delivery_key,
        is_repeated
    from sessions
    union all
    select
        source,
        {{ row_key('source', "concat('call:', call_id)") }} as touchpoint_key,
        concat('call:', call_id) as touchpoint_id,
        'call' as touchpoint_type,
        'call' as entity,
        call_id as entity_key,
        {{ own_person_id('call', 'call_id') }} as own_person_id,
        campaign,
        channel,
        called_at as touched_at,
        true as holder_engagement,
        true as closer_engagement,
        false as impression_interaction,
        traffic,
        cast(null as bigint) as delivery_key,
        false as is_repeated
    from calls
    union all
    select
        source,
        {{ row_key('source', "concat('form:', link_id)") }} as touchpoint_key,
        concat('form:', link_id) as touchpoint_id,
        'form' as touchpoint_type,
        'form' as entity,
        link_id as entity_key,
        {{ own_person_id('form', 'link_id') }} as own_person_id,
        campaign,
        channel,
        linked_at as touched_at,
        true as holder_engagement,
        true as closer_engagement,
        false as impression_interaction,
        traffic,
        cast(null as bigint) as delivery_key,
        false as is_repeated
    from identity_links
    where kind = 'form'
    union all
    select
        source,
        {{ row_key('source', "concat('referral:', customer_id)") }} as touchpoint_key,
        concat('referral:', customer_id) as touchpoint_id,
        'referral' as touchpoint_type,
        'customer' as entity,
        customer_id as entity_key,
        {{ own_person_id('customer', 'customer_id') }} as own_person_id,
        cast(null as varchar) as campaign,
        cast(null as varchar) as channel,
        created_at as touched_at,
        false as holder_engagement,
        false as closer_engagement,
        false as impression_interaction,
        traffic,
        cast(null as bigint) as delivery_key,
        false as is_repeated
    from referred_customers

)

select * from unioned

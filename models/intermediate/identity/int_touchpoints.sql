-- grain: one row per source and touchpoint: a session, a call, a form fill or the
-- referral of a customer.
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

entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

touchpoints as (

    select
        source,
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
        traffic
    from sessions
    union all
    select
        source,
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
        traffic
    from calls
    union all
    select
        source,
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
        traffic
    from identity_links
    where kind = 'form'
    union all
    select
        source,
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
        traffic
    from customers
    where
        traffic is not null
        and created_at is not null

),

resolved as (

    select
        touchpoints.source,
        touchpoints.touchpoint_id,
        touchpoints.touchpoint_type,
        touchpoints.touched_at,
        coalesce(touchpoints.campaign, traffic_channels.campaign) as campaign,
        coalesce(entity_persons.person_id, touchpoints.own_person_id) as person_id,
        coalesce(touchpoints.channel, traffic_channels.channel, '(unknown)') as channel,
        case
            when coalesce(touchpoints.channel, traffic_channels.channel) is null
                then touchpoints.traffic
        end as unmapped_traffic,
        coalesce(touchpoints.holder_engagement, false) as holder_engagement,
        coalesce(touchpoints.closer_engagement, false) as closer_engagement,
        coalesce(touchpoints.impression_interaction, false) as impression_interaction
    from touchpoints
    left join entity_persons
        on
            touchpoints.source = entity_persons.source
            and touchpoints.entity = entity_persons.entity
            and touchpoints.entity_key = entity_persons.entity_key
    left join traffic_channels
        on
            touchpoints.source = traffic_channels.source
            and touchpoints.traffic = traffic_channels.traffic
    -- What refers a customer may be an id that nobody has explained: then it is no touchpoint.
    where touchpoints.touchpoint_type != 'referral' or traffic_channels.channel is not null

),

final as (

    select
        *,
        {{ row_key('source', 'touchpoint_id') }} as touchpoint_key,
        {{ row_key('source', 'person_id') }} as person_key
    from resolved

)

select * from final

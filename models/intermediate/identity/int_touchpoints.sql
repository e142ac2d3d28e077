-- grain: one row per source and touchpoint: a session, a call or a form fill.
with sessions as (

    select * from {{ ref('int_sessions') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

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
        traffic_source,
        medium,
        campaign,
        channel,
        started_at as touched_at,
        holder_engagement,
        closer_engagement,
        impression_interaction
    from sessions
    union all
    select
        source,
        concat('call:', call_id) as touchpoint_id,
        'call' as touchpoint_type,
        'call' as entity,
        call_id as entity_key,
        {{ own_person_id('call', 'call_id') }} as own_person_id,
        traffic_source,
        medium,
        campaign,
        channel,
        called_at as touched_at,
        true as holder_engagement,
        true as closer_engagement,
        false as impression_interaction
    from calls
    union all
    select
        source,
        concat('form:', link_id) as touchpoint_id,
        'form' as touchpoint_type,
        'form' as entity,
        link_id as entity_key,
        {{ own_person_id('form', 'link_id') }} as own_person_id,
        traffic_source,
        medium,
        campaign,
        channel,
        linked_at as touched_at,
        true as holder_engagement,
        true as closer_engagement,
        false as impression_interaction
    from identity_links
    where kind = 'form'

),

final as (

    select
        touchpoints.source,
        touchpoints.touchpoint_id,
        touchpoints.touchpoint_type,
        touchpoints.traffic_source,
        touchpoints.medium,
        touchpoints.campaign,
        touchpoints.touched_at,
        coalesce(entity_persons.person_id, touchpoints.own_person_id) as person_id,
        coalesce(touchpoints.channel, '(unknown)') as channel,
        coalesce(touchpoints.holder_engagement, false) as holder_engagement,
        coalesce(touchpoints.closer_engagement, false) as closer_engagement,
        coalesce(touchpoints.impression_interaction, false) as impression_interaction
    from touchpoints
    left join entity_persons
        on
            touchpoints.source = entity_persons.source
            and touchpoints.entity = entity_persons.entity
            and touchpoints.entity_key = entity_persons.entity_key

)

select * from final

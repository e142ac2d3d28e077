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

touchpoints as (

    select
        source,
        session_id as touchpoint_id,
        'session' as touchpoint_type,
        user_id as person_id,
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
        coalesce(user_id, concat('call:', call_id)) as person_id,
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
        coalesce(user_id, concat('form:', link_id)) as person_id,
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
        source,
        touchpoint_id,
        touchpoint_type,
        person_id,
        traffic_source,
        medium,
        campaign,
        touched_at,
        coalesce(channel, '(unknown)') as channel,
        coalesce(holder_engagement, false) as holder_engagement,
        coalesce(closer_engagement, false) as closer_engagement,
        coalesce(impression_interaction, false) as impression_interaction
    from touchpoints

)

select * from final

-- grain: one row per source and touchpoint: a session, a call, a form fill or the
-- referral of a customer. In keys, which are a third of its names to write; those are in
-- int_named_touchpoints.
with touchpoints as (

    select * from {{ ref('int_named_touchpoints') }}

),

traffic_channels as (

    select * from {{ ref('int_traffic_channels') }}

),

final as (

    select
        touchpoints.source,
        touchpoints.touchpoint_key,
        {{ row_key('touchpoints.source', 'touchpoints.person_id') }} as person_key,
        coalesce(touchpoints.channel, traffic_channels.channel, '(unknown)') as channel,
        coalesce(touchpoints.campaign, traffic_channels.campaign) as campaign,
        coalesce(touchpoints.holder_engagement, false) as holder_engagement,
        coalesce(touchpoints.closer_engagement, false) as closer_engagement,
        coalesce(touchpoints.impression_interaction, false) as impression_interaction,
        touchpoints.touched_at
    from touchpoints
    left join traffic_channels
        on
            touchpoints.source = traffic_channels.source
            and touchpoints.traffic = traffic_channels.traffic

)

select * from final

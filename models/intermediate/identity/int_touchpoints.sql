-- grain: one row per source and touchpoint: a session, a call, a form fill or the
-- referral of a customer. In keys, which are a third of its names to write; those are in
-- int_named_touchpoints. Of deliveries that are as they were in the build before, rows are kept.
{{ config(materialized='incremental', incremental_strategy='changed_touchpoints') }}

with touchpoints as (

    select * from {{ ref('int_named_touchpoints') }}
    where {{ is_changed_touchpoint() }}

),

traffic_channels as (

    select * from {{ ref('int_traffic_channels') }}

),

final as (

    select
        {{ stored_source('touchpoints.source') }} as source,
        touchpoints.touchpoint_key,
        {{ row_key('touchpoints.source', 'touchpoints.person_id') }} as person_key,
        nullif(
            {{ row_key('touchpoints.source', 'touchpoints.own_person_id') }},
            {{ row_key('touchpoints.source', 'touchpoints.person_id') }}
        ) as own_person_key,
        coalesce(touchpoints.channel, traffic_channels.channel, '(unknown)') as channel,
        coalesce(touchpoints.holder_engagement, false) as holder_engagement,
        coalesce(touchpoints.closer_engagement, false) as closer_engagement,
        coalesce(touchpoints.impression_interaction, false) as impression_interaction,
        touchpoints.touched_at,
        {{ 'touchpoints.delivery_key' if are_touchpoints_read_with_their_code()
            else 'cast(null as bigint)' }} as delivery_key,
        touchpoints.is_repeated
    from touchpoints
    left join traffic_channels
        on
            touchpoints.source = traffic_channels.source
            and touchpoints.traffic = traffic_channels.traffic

)

select * from final

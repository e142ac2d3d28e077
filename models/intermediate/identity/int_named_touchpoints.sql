-- grain: one row per source and touchpoint, as the source names it, with the person it belongs to.
{{ config(materialized='view') }}

with touchpoints as (

    select * from {{ ref('int_touchpoints_unioned') }}

),

entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

final as (

    select
        touchpoints.source,
        touchpoints.touchpoint_key,
        touchpoints.touchpoint_id,
        touchpoints.touchpoint_type,
        touchpoints.entity,
        touchpoints.entity_key,
        touchpoints.campaign,
        touchpoints.channel,
        touchpoints.touched_at,
        touchpoints.holder_engagement,
        touchpoints.closer_engagement,
        touchpoints.impression_interaction,
        touchpoints.traffic,
        touchpoints.own_person_id,
        touchpoints.delivery_key,
        touchpoints.is_repeated,
        coalesce(entity_persons.person_id, touchpoints.own_person_id) as person_id
    from touchpoints
    left join entity_persons
        on
            touchpoints.source = entity_persons.source
            and touchpoints.entity = entity_persons.entity
            and touchpoints.entity_key = entity_persons.entity_key

)

select * from final

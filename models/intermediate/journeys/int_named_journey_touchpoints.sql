-- grain: one row per conversion and touchpoint before it, with the names behind their keys. A view:
-- few ask for the names, and they are most of what there would be to write.
{{ config(materialized='view') }}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints_unioned') }}

),

final as (

    select
        journey_windows.source,
        journey_windows.conversion_id,
        touchpoints.touchpoint_id,
        journey_touchpoints.conversion_key,
        journey_touchpoints.touchpoint_key,
        journey_windows.person_id,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        journey_touchpoints.holder_engagement,
        journey_touchpoints.closer_engagement,
        journey_touchpoints.impression_interaction,
        journey_touchpoints.touched_at,
        journey_touchpoints.converted_at,
        journey_touchpoints.touch_number,
        journey_touchpoints.journey_length,
        touchpoints.campaign
    from journey_touchpoints
    inner join journey_windows
        on journey_touchpoints.conversion_key = journey_windows.conversion_key
    inner join touchpoints
        on journey_touchpoints.touchpoint_key = touchpoints.touchpoint_key

)

select * from final

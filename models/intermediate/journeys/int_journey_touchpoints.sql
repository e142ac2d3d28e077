-- grain: one row per conversion and touchpoint before it; a touchpoint may serve several.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with journey_windows as (

    select * from {{ ref('int_journey_windows') }}
    where {{ is_of_changed_person() }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ is_of_changed_person() }}

),

final as (

    select
        journey_windows.source,
        journey_windows.conversion_id,
        touchpoints.touchpoint_id,
        journey_windows.person_id,
        journey_windows.conversion_type,
        touchpoints.channel,
        touchpoints.campaign,
        touchpoints.holder_engagement,
        touchpoints.closer_engagement,
        touchpoints.impression_interaction,
        touchpoints.touched_at,
        journey_windows.converted_at,
        row_number() over (
            partition by journey_windows.source, journey_windows.conversion_id
            order by touchpoints.touched_at, touchpoints.touchpoint_id
        ) as touch_number,
        count(*) over (
            partition by journey_windows.source, journey_windows.conversion_id
        ) as journey_length
    from journey_windows
    inner join touchpoints
        on
            journey_windows.source = touchpoints.source
            and journey_windows.person_id = touchpoints.person_id
            and journey_windows.window_opens_at <= touchpoints.touched_at
            and journey_windows.converted_at {{ at_conversion }} touchpoints.touched_at

)

select * from final

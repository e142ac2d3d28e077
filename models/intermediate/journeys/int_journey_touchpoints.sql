-- grain: one row per conversion and touchpoint before it; a touchpoint may serve several. In keys:
-- the ids of both are in int_named_journey_touchpoints.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with journey_windows as (

    select * from {{ ref('int_journey_windows') }}
    where {{ is_of_changed_person() }}

),

touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_of_changed_person() }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

matched as (

    -- A window of time holds touches whose numbers follow one another.
    select
        journey_windows.conversion_key,
        journey_windows.person_key,
        journey_windows.converted_at,
        touches.touchpoint_key,
        touches.channel_key,
        touches.holder_engagement,
        touches.closer_engagement,
        touches.impression_interaction,
        touches.touched_at,
        touches.ordinal,
        touches.person_touch_number,
        min(touches.person_touch_number) over (
            partition by journey_windows.conversion_key
        ) as first_touch_number,
        count(*) over (partition by journey_windows.conversion_key) as journey_length
    from journey_windows
    inner join touches
        on
            journey_windows.person_key = touches.person_key
            and journey_windows.window_opens_at <= touches.touched_at
            and journey_windows.converted_at {{ at_conversion }} touches.touched_at

),

final as (

    select
        matched.conversion_key,
        matched.touchpoint_key,
        matched.person_key,
        matched.channel_key,
        journey_windows.conversion_type,
        channels.channel,
        matched.holder_engagement,
        matched.closer_engagement,
        matched.impression_interaction,
        matched.touched_at,
        matched.converted_at,
        matched.ordinal,
        cast(matched.person_touch_number - matched.first_touch_number + 1 as bigint)
            as touch_number,
        matched.journey_length
    from matched
    left join channels
        on matched.channel_key = channels.channel_key
    inner join journey_windows
        on matched.conversion_key = journey_windows.conversion_key

)

select * from final

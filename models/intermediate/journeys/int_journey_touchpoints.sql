-- grain: one row per conversion and touchpoint before it; a touchpoint may serve several.
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

touchpoints as (

    -- DuckDB takes journeys for more rows than there are touchpoints, and holds in memory what it
    -- takes for fewer: these should be no more than needed.
    select * from {{ ref('int_touchpoints') }}
    where
        {{ is_of_changed_person() }}
        and person_key in (select journey_windows.person_key from journey_windows)

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

ids as (

    select
        touchpoint_key,
        touchpoint_id
    from {{ ref('int_touchpoints_unioned') }}
    where touchpoint_key in (select matched.touchpoint_key from matched)

),

final as (

    select
        journey_windows.source,
        journey_windows.conversion_id,
        ids.touchpoint_id,
        matched.conversion_key,
        matched.touchpoint_key,
        matched.person_key,
        matched.channel_key,
        journey_windows.conversion_type,
        channels.channel,
        touchpoints.campaign,
        touchpoints.holder_engagement,
        touchpoints.closer_engagement,
        touchpoints.impression_interaction,
        touchpoints.touched_at,
        matched.converted_at,
        matched.ordinal,
        cast(matched.person_touch_number - matched.first_touch_number + 1 as bigint)
            as touch_number,
        matched.journey_length
    from matched
    inner join touchpoints
        on matched.touchpoint_key = touchpoints.touchpoint_key
    inner join ids
        on matched.touchpoint_key = ids.touchpoint_key
    left join channels
        on matched.channel_key = channels.channel_key
    inner join journey_windows
        on matched.conversion_key = journey_windows.conversion_key

)

select * from final

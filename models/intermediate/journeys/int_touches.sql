-- grain: one row per touchpoint that happened by the end of the reporting period, in numbers alone:
-- what grows with traffic reads this. person_touch_number counts the touches of the person, ordinal
-- those of the channel among them: 1, 2, or 3 for the third and later.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}

with touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ until_reporting_end('touched_at') }} and {{ is_of_changed_person() }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

ids as (

    select
        touchpoint_key,
        touchpoint_id
    from {{ ref('int_touchpoints_unioned') }}

),

ordered as (

    select
        touchpoints.person_key,
        touchpoints.touchpoint_key,
        channels.channel_key,
        touchpoints.touched_at,
        rank() over (
            partition by touchpoints.person_key
            order by touchpoints.touched_at
        ) as first_place_of_instant,
        count(*) over (
            partition by touchpoints.person_key
            order by touchpoints.touched_at
            range between current row and current row
        ) as touches_of_instant
    from touchpoints
    inner join channels
        on touchpoints.channel = channels.channel

),

tied as (

    -- Few persons are touched twice at one instant; only there the ids are put in order.
    select
        ordered.touchpoint_key,
        row_number() over (
            partition by ordered.person_key, ordered.touched_at
            order by ids.touchpoint_id
        ) as place_in_instant
    from ordered
    inner join ids
        on ordered.touchpoint_key = ids.touchpoint_key
    where ordered.touches_of_instant > 1

),

numbered as (

    select
        ordered.person_key,
        ordered.touchpoint_key,
        ordered.channel_key,
        ordered.touched_at,
        ordered.first_place_of_instant + coalesce(tied.place_in_instant - 1, 0)
            as person_touch_number
    from ordered
    left join tied
        on ordered.touchpoint_key = tied.touchpoint_key

),

final as (

    select
        person_key,
        touchpoint_key,
        channel_key,
        touched_at,
        cast(person_touch_number as integer) as person_touch_number,
        cast(least(
            row_number() over (
                partition by person_key, channel_key
                order by person_touch_number
            ),
            3
        ) as tinyint) as ordinal
    from numbered

)

select * from final

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

same_instants as (

    -- Few persons are touched twice at one instant; only there the ids are put in order.
    select
        person_key,
        touched_at
    from touchpoints
    group by person_key, touched_at
    having count(*) > 1

),

tied as (

    select
        touchpoints.touchpoint_key,
        row_number() over (
            partition by touchpoints.person_key, touchpoints.touched_at
            order by touchpoints.touchpoint_id
        ) as place
    from touchpoints
    inner join same_instants
        on
            touchpoints.person_key = same_instants.person_key
            and touchpoints.touched_at = same_instants.touched_at

),

numbered as (

    select
        touchpoints.person_key,
        touchpoints.touchpoint_key,
        channels.channel_key,
        touchpoints.touched_at,
        row_number() over (
            partition by touchpoints.person_key
            order by touchpoints.touched_at, tied.place
        ) as person_touch_number
    from touchpoints
    inner join channels
        on touchpoints.channel = channels.channel
    left join tied
        on touchpoints.touchpoint_key = tied.touchpoint_key

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

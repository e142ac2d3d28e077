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

placed_in_channel as (

    select
        touchpoints.person_key,
        touchpoints.touchpoint_key,
        channels.channel_key,
        touchpoints.holder_engagement,
        touchpoints.closer_engagement,
        touchpoints.impression_interaction,
        touchpoints.touched_at,
        rank() over (
            partition by touchpoints.person_key, channels.channel_key
            order by touchpoints.touched_at
        ) as first_ordinal_of_instant
    from touchpoints
    inner join channels
        on touchpoints.channel = channels.channel

),

placed as (

    -- The window over persons comes last: it leaves the touches of a person side by side, and what
    -- joins or groups by person finds them in half of the time.
    select
        person_key,
        touchpoint_key,
        channel_key,
        holder_engagement,
        closer_engagement,
        impression_interaction,
        touched_at,
        first_ordinal_of_instant,
        rank() over (
            partition by person_key
            order by touched_at
        ) as first_place_of_instant,
        count(*) over (
            partition by person_key
            order by touched_at
            range between current row and current row
        ) as touches_of_instant
    from placed_in_channel

),

tied_ids as (

    -- Few persons are touched twice at one instant; only there the ids are put in order. As an
    -- operand, the keys of these few are held and all ids pass by; a join would hold all ids.
    select
        touchpoint_key,
        touchpoint_id
    from ids
    where
        coalesce(
            touchpoint_key in (
                select placed.touchpoint_key
                from placed
                where placed.touches_of_instant > 1
            ),
            false
        )

),

tied as (

    select
        placed.touchpoint_key,
        row_number() over (
            partition by placed.person_key, placed.touched_at
            order by tied_ids.touchpoint_id
        ) as place_in_instant,
        row_number() over (
            partition by placed.person_key, placed.touched_at, placed.channel_key
            order by tied_ids.touchpoint_id
        ) as ordinal_in_instant
    from placed
    inner join tied_ids
        on placed.touchpoint_key = tied_ids.touchpoint_key
    where placed.touches_of_instant > 1

),

final as (

    select
        placed.person_key,
        placed.touchpoint_key,
        placed.channel_key,
        placed.holder_engagement,
        placed.closer_engagement,
        placed.impression_interaction,
        placed.touched_at,
        cast(
            placed.first_place_of_instant + coalesce(tied.place_in_instant - 1, 0) as integer
        ) as person_touch_number,
        cast(
            least(placed.first_ordinal_of_instant + coalesce(tied.ordinal_in_instant - 1, 0), 3)
            as tinyint
        ) as ordinal
    from placed
    left join tied
        on placed.touchpoint_key = tied.touchpoint_key

)

select * from final

-- grain: one row per delivered touchpoint row; rejection_reason is null where it can be used.
{{ config(materialized='view') }}

with touchpoints as (

    select * from {{ ref('int_touchpoints_unioned') }}

),

final as (

    select
        source,
        touchpoint_id,
        person_id,
        touched_at,
        channel,
        traffic_source,
        medium,
        campaign,
        holder_engagement,
        closer_engagement,
        impression_interaction,
        raw_row,
        case
            when touchpoint_id is null then 'missing_id'
            when person_id is null then 'missing_person'
            when touched_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('touched_at') }}) then 'implausible_time'
            when channel in {{ reserved_channels() }} then 'reserved_channel'
        end as rejection_reason
    from touchpoints

)

select * from final

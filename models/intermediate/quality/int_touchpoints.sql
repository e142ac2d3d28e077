-- grain: one row per source and touchpoint. Of several rows with one id the earliest is kept.
with checked as (

    select * from {{ ref('int_touchpoints_checked') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by source, touchpoint_id
            order by {{ delivery_order('touchpoints') }}
        ) as delivery_number
    from checked
    where rejection_reason is null

),

final as (

    select
        source,
        touchpoint_id,
        person_id,
        traffic_source,
        medium,
        campaign,
        touched_at,
        coalesce(channel, '(unknown)') as channel,
        coalesce(holder_engagement, false) as holder_engagement,
        coalesce(closer_engagement, false) as closer_engagement,
        coalesce(impression_interaction, false) as impression_interaction
    from ranked
    where delivery_number = 1

)

select * from final

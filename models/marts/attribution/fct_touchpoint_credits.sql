-- grain: one row per source, conversion, touchpoint and attribution model. credit and
-- credited_revenue are additive within one model; do not sum across models.
{{ config(materialized='view') }}

with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

final as (

    select
        touchpoint_credits.conversion_id,
        touchpoint_credits.touchpoint_id,
        journey_touchpoints.person_id,
        touchpoint_credits.source,
        journey_touchpoints.channel,
        journey_touchpoints.campaign,
        journey_touchpoints.touched_at,
        journey_touchpoints.converted_at,
        journey_touchpoints.conversion_type,
        touchpoint_credits.attribution_model,
        touchpoint_credits.credit,
        touchpoint_credits.credit * cast(conversions.revenue as double) as credited_revenue
    from touchpoint_credits
    inner join journey_touchpoints
        on
            touchpoint_credits.source = journey_touchpoints.source
            and touchpoint_credits.conversion_id = journey_touchpoints.conversion_id
            and touchpoint_credits.touchpoint_id = journey_touchpoints.touchpoint_id
    inner join conversions
        on
            touchpoint_credits.source = conversions.source
            and touchpoint_credits.conversion_id = conversions.conversion_id

)

select * from final

-- grain: one row per source, conversion, touchpoint and attribution model; models with a baseline
-- have one more row per conversion, with the touchpoint_id and channel (baseline). credit and
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

ensemble_totals as (

    select * from {{ ref('int_ensemble_totals') }}

),

channelled as (

    -- What no touchpoint brought about counts at the time of the conversion.
    select
        touchpoint_credits.*,
        journey_touchpoints.campaign,
        journey_touchpoints.touched_at,
        coalesce(journey_touchpoints.channel, '(baseline)') as channel
    from touchpoint_credits
    left join journey_touchpoints
        on
            touchpoint_credits.source = journey_touchpoints.source
            and touchpoint_credits.conversion_id = journey_touchpoints.conversion_id
            and touchpoint_credits.touchpoint_id = journey_touchpoints.touchpoint_id

),

final as (

    select
        channelled.conversion_id,
        channelled.touchpoint_id,
        conversions.person_id,
        channelled.source,
        channelled.channel,
        channelled.campaign,
        conversions.converted_at,
        conversions.conversion_type,
        channelled.attribution_model,
        channelled.credit,
        coalesce(channelled.touched_at, conversions.converted_at) as touched_at,
        channelled.credit * cast(conversions.revenue as double) as credited_revenue,
        channelled.agreement * ensemble_totals.interval_precision as confidence
    from channelled
    inner join conversions
        on
            channelled.source = conversions.source
            and channelled.conversion_id = conversions.conversion_id
    left join ensemble_totals
        on
            conversions.conversion_type = ensemble_totals.conversion_type
            and channelled.channel = ensemble_totals.channel

)

select * from final

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

credited as (

    -- What credit can go to: touchpoints, and the (baseline) of a conversion, which counts at its
    -- time. One join finds all that a credit, of which there are many, needs to know.
    select
        source,
        conversion_id,
        touchpoint_id,
        channel,
        campaign,
        touched_at
    from journey_touchpoints
    union all
    select
        source,
        conversion_id,
        '(baseline)' as touchpoint_id,
        '(baseline)' as channel,
        null as campaign,
        converted_at as touched_at
    from conversions

),

described as (

    select
        credited.*,
        conversions.person_id,
        conversions.conversion_type,
        conversions.converted_at,
        conversions.revenue,
        ensemble_totals.interval_precision
    from credited
    inner join conversions
        on
            credited.source = conversions.source
            and credited.conversion_id = conversions.conversion_id
    left join ensemble_totals
        on
            conversions.conversion_type = ensemble_totals.conversion_type
            and credited.channel = ensemble_totals.channel

),

final as (

    select
        touchpoint_credits.conversion_id,
        touchpoint_credits.touchpoint_id,
        described.person_id,
        touchpoint_credits.source,
        described.channel,
        described.campaign,
        described.converted_at,
        described.conversion_type,
        touchpoint_credits.attribution_model,
        touchpoint_credits.credit,
        described.touched_at,
        touchpoint_credits.credit * cast(described.revenue as double) as credited_revenue,
        touchpoint_credits.agreement * described.interval_precision as confidence
    from touchpoint_credits
    left join described
        on
            touchpoint_credits.source = described.source
            and touchpoint_credits.conversion_id = described.conversion_id
            and touchpoint_credits.touchpoint_id = described.touchpoint_id

)

select * from final

-- grain: one row per source, conversion, touchpoint and attribution model; models with a baseline
-- have one more row per conversion, with the touchpoint_id and channel (baseline). credit and
-- credited_revenue are additive within one model; do not sum across models.
{{ config(materialized='view') }}

with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}

),

journey_touchpoints as (

    select * from {{ ref('int_named_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

ensemble_totals as (

    select * from {{ ref('int_ensemble_totals') }}

),

credited as (

    -- What credit can go to: touchpoints, and the (baseline) of a conversion, which counts at its
    -- time. One join finds all that a credit, of which there are many, needs to know.
    select
        conversion_key,
        touchpoint_key,
        touchpoint_id,
        channel,
        campaign,
        touched_at
    from journey_touchpoints
    union all
    select
        conversion_key,
        {{ baseline_key() }} as touchpoint_key,
        '(baseline)' as touchpoint_id,
        '(baseline)' as channel,
        null as campaign,
        converted_at as touched_at
    from journey_windows

),

described as (

    select
        credited.*,
        journey_windows.source,
        journey_windows.conversion_id,
        journey_windows.person_id,
        journey_windows.conversion_type,
        journey_windows.converted_at,
        journey_windows.revenue,
        ensemble_totals.interval_precision
    from credited
    inner join journey_windows
        on credited.conversion_key = journey_windows.conversion_key
    left join ensemble_totals
        on
            journey_windows.conversion_type = ensemble_totals.conversion_type
            and credited.channel = ensemble_totals.channel

),

final as (

    select
        described.conversion_id,
        described.touchpoint_id,
        described.person_id,
        described.source,
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
            touchpoint_credits.conversion_key = described.conversion_key
            and touchpoint_credits.touchpoint_key = described.touchpoint_key

)

select * from final

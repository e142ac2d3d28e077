-- grain: one row per conversion and touchpoint. hazard adds up to 1 per conversion.
-- hazard_with_baseline and the conversion's baseline_share, which repeats on each of its
-- touchpoints, add up to 1 together.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

touchpoints as (

    select * from {{ ref('int_hazard_touchpoints') }}

),

coefficients as (

    select * from {{ ref('int_hazard_coefficients') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

per_feature as (

    -- One row per channel and ordinal, its decays side by side.
    select
        coefficients.conversion_type,
        coefficients.channel,
        coefficients.ordinal,
        {%- for decay in hazard_decays() %}
        max(
            case when coefficients.decay_days = {{ decay.days }} then coefficients.coefficient end
        ) as coefficient_{{ decay.days }},
        {%- endfor %}
        coalesce(max(channels.channel_group) = 'Direct', false) as is_behaviour
    from coefficients
    left join channels
        on coefficients.channel = channels.channel
    where coefficients.decay_days > 0
    group by coefficients.conversion_type, coefficients.channel, coefficients.ordinal

),

at_risk as (

    select
        conversion_type,
        ordinal,
        coefficient
    from coefficients
    where decay_days = 0

),

aged as (

    select
        journey_touchpoints.source,
        journey_touchpoints.conversion_id,
        journey_touchpoints.touchpoint_id,
        journey_touchpoints.conversion_type,
        journey_touchpoints.journey_length,
        touchpoints.channel,
        touchpoints.ordinal,
        case when journey_windows.previous_converted_at is null then 0 else 1 end as risk_ordinal,
        {{ days_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
            as age_days
    from journey_touchpoints
    inner join touchpoints
        on
            journey_touchpoints.source = touchpoints.source
            and journey_touchpoints.touchpoint_id = touchpoints.touchpoint_id
    inner join journey_windows
        on
            journey_touchpoints.source = journey_windows.source
            and journey_touchpoints.conversion_id = journey_windows.conversion_id

),

hazards as (

    -- What each touch adds to the hazard at the conversion: as effect, and as sign of interest.
    select
        aged.source,
        aged.conversion_id,
        aged.touchpoint_id,
        aged.journey_length,
        per_feature.is_behaviour,
        coalesce(at_risk.coefficient, 0.0) as hazard_at_risk,
        {%- for decay in hazard_decays() if not decay.is_interest %}
        {{ '+ ' if not loop.first -}}
        coalesce(per_feature.coefficient_{{ decay.days }}, 0.0)
        * {{ faded('aged.age_days', decay.days) }}
        {%- endfor %}
            as hazard_of_effect,
        {%- for decay in hazard_decays() if decay.is_interest %}
        {{ '+ ' if not loop.first -}}
        coalesce(per_feature.coefficient_{{ decay.days }}, 0.0)
        * {{ faded('aged.age_days', decay.days) }}
        {%- endfor %}
            as hazard_of_interest
    from aged
    left join per_feature
        on
            aged.conversion_type = per_feature.conversion_type
            and aged.channel = per_feature.channel
            and aged.ordinal = per_feature.ordinal
    left join at_risk
        on
            aged.conversion_type = at_risk.conversion_type
            and aged.risk_ordinal = at_risk.ordinal

),

totals as (

    select
        *,
        sum(hazard_of_effect) over (partition by source, conversion_id) as hazard_of_effects,
        hazard_at_risk + sum(hazard_of_effect + hazard_of_interest) over (
            partition by source, conversion_id
        ) as hazard_total
    from hazards

),

shares as (

    -- Where no touch of a conversion has an effect, its touches share equally.
    select
        source,
        conversion_id,
        touchpoint_id,
        coalesce(
            hazard_of_effect / nullif(hazard_of_effects, 0), cast(1.0 as double) / journey_length
        ) as hazard,
        case
            when is_behaviour then 0.0
            else coalesce(hazard_of_effect / nullif(hazard_total, 0), 0.0)
        end as hazard_with_baseline
    from totals

),

final as (

    select
        source,
        conversion_id,
        touchpoint_id,
        hazard,
        hazard_with_baseline,
        greatest(
            1.0 - sum(hazard_with_baseline) over (partition by source, conversion_id), 0.0
        ) as baseline_share
    from shares

)

select * from final

-- grain: one row per conversion and touchpoint. hazard_without_baseline adds up to 1 per
-- conversion.
-- hazard and the conversion's baseline_share, which repeats on each of its
-- touchpoints, add up to 1 together. removal_share does not add up to anything: without one of two
-- channels that multiply each other, more is lost than is its due.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_computed('hazard') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

coefficients as (

    select * from {{ ref('int_hazard_coefficients') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

diagnostics as (

    select * from {{ ref('int_hazard_diagnostics') }}

),

links as (

    select
        conversion_type,
        diagnostic_value = 1 as is_log_link
    from diagnostics
    where diagnostic = 'is_log_link'

),

per_feature as (

    -- One row per channel and ordinal, its decays side by side. Behaviour is baseline.
    select
        coefficients.conversion_type,
        channels.channel_key,
        coefficients.ordinal,
        {%- for decay in hazard_decays() %}
        max(
            case when coefficients.decay_days = {{ decay.days }} then coefficients.coefficient end
        ) as coefficient_{{ decay.days }},
        {%- endfor %}
        coalesce(max(channels.channel_group) = 'Direct', false) as is_behaviour
    from coefficients
    inner join channels
        on coefficients.channel = channels.channel
    where coefficients.decay_days > 0
    group by coefficients.conversion_type, channels.channel_key, coefficients.ordinal

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
        journey_touchpoints.conversion_key,
        journey_touchpoints.touchpoint_key,
        journey_touchpoints.conversion_type,
        journey_touchpoints.journey_length,
        journey_touchpoints.channel_key,
        journey_touchpoints.ordinal,
        cast(journey_touchpoints.touched_at as date) as touch_date,
        case when journey_windows.previous_converted_at is null then 0 else 1 end as risk_ordinal,
        {{ days_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
            as age_days
    from journey_touchpoints
    inner join journey_windows
        on journey_touchpoints.conversion_key = journey_windows.conversion_key

),

faded as (

    select
        aged.conversion_key,
        aged.touchpoint_key,
        aged.journey_length,
        aged.channel_key,
        aged.touch_date,
        links.is_log_link,
        per_feature.is_behaviour,
        {%- for decay in hazard_decays() %}
        per_feature.coefficient_{{ decay.days }},
        {{ faded('aged.age_days', decay.days) }} as left_{{ decay.days }},
        {%- endfor %}
        coalesce(at_risk.coefficient, 0.0) as coefficient_at_risk
    from aged
    inner join links
        on aged.conversion_type = links.conversion_type
    inner join per_feature
        on
            aged.conversion_type = per_feature.conversion_type
            and aged.channel_key = per_feature.channel_key
            and aged.ordinal = per_feature.ordinal
    left join at_risk
        on
            aged.conversion_type = at_risk.conversion_type
            and aged.risk_ordinal = at_risk.ordinal

),

-- Additive link: a touch's share of the hazard at the conversion.

effects as (

    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        journey_length,
        coefficient_at_risk,
        case when is_behaviour then 0.0 else 1.0 end * (
            0.0
            {%- for decay in hazard_decays() if not decay.is_interest %}
            + coefficient_{{ decay.days }} * left_{{ decay.days }}
            {%- endfor %}
        ) as hazard_of_effect,
        0.0
        {%- for decay in hazard_decays() %}
        + coefficient_{{ decay.days }} * left_{{ decay.days }}
        {%- endfor %}
            as hazard_of_touch
    from faded
    where not is_log_link

),

hazards as (

    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        journey_length,
        hazard_of_effect,
        max(hazard_of_effect) over (partition by conversion_key) as highest_hazard_of_effect,
        coefficient_at_risk + sum(hazard_of_touch) over (partition by conversion_key)
            as hazard_total
    from effects

),

-- Log link: the hazard is a product of factors; a channel's share is its Shapley value (see
-- tributary.log_hazard), divided among its touches by what is left of each.

of_touches as (

    select
        conversion_key,
        touchpoint_key,
        journey_length,
        channel_key,
        touch_date,
        is_behaviour,
        {%- for decay in hazard_decays() if not decay.is_interest %}
        coefficient_{{ decay.days }},
        sum(left_{{ decay.days }}) over (
            partition by conversion_key, channel_key
        ) as adstock_{{ decay.days }},
        {%- endfor %}
        0.0
        {%- for decay in hazard_decays() if not decay.is_interest %}
        + greatest(coefficient_{{ decay.days }}, 0.0) * left_{{ decay.days }}
        {%- endfor %}
            as touch_weight,
        row_number() over (
            partition by conversion_key, channel_key
            order by touchpoint_key
        ) as touch_of_channel
    from faded
    where is_log_link

),

of_channels as (

    select
        conversion_key,
        channel_key,
        case when is_behaviour then 0.0 else 1.0 end * greatest(
            0.0
            {%- for decay in hazard_decays() if not decay.is_interest %}
            + coefficient_{{ decay.days }} * (1.0 - exp(-adstock_{{ decay.days }}))
            {%- endfor %},
            0.0
        ) as log_factor
    from of_touches
    where touch_of_channel = 1

),

products as (

    select
        conversion_key,
        channel_key,
        exp(log_factor) - 1.0 as gain,
        {%- for node in gauss_legendre_nodes() %}
        sum(ln(1.0 + {{ node.place }} * (exp(log_factor) - 1.0))) over (
            partition by conversion_key
        ) as log_product_{{ loop.index }},
        {%- endfor %}
        round(1.0 - exp(-log_factor), 12) as channel_removal,
        sum(log_factor) over (partition by conversion_key) as log_total
    from of_channels

),

channel_shares as (

    -- The nodes are exact but for rounding errors, which are cut off.
    select
        conversion_key,
        channel_key,
        channel_removal,
        round(
            0.0
            {%- for node in gauss_legendre_nodes() %}
            + {{ node.weight }} * gain / (1.0 + {{ node.place }} * gain)
            * exp(log_product_{{ loop.index }} - log_total)
            {%- endfor %},
            12
        ) as channel_share
    from products

),

touch_shares as (

    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        journey_length,
        coalesce(
            touch_weight / nullif(
                sum(touch_weight) over (partition by conversion_key, channel_key), 0
            ),
            0.0
        ) as touch_share
    from of_touches

),

shares as (

    -- What is less than a billionth of the conversion's highest is nothing.
    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        journey_length,
        case
            when hazard_of_effect > 1e-9 * highest_hazard_of_effect
                then coalesce(hazard_of_effect / nullif(hazard_total, 0), 0.0)
            else 0.0
        end as hazard,
        coalesce(hazard_of_effect / nullif(hazard_total, 0), 0.0) as removal_share
    from hazards
    union all
    select
        touch_shares.conversion_key,
        touch_shares.touchpoint_key,
        touch_shares.channel_key,
        touch_shares.touch_date,
        touch_shares.journey_length,
        {{ or_nothing('channel_shares.channel_share * touch_shares.touch_share') }} as hazard,
        channel_shares.channel_removal * touch_shares.touch_share as removal_share
    from touch_shares
    inner join channel_shares
        on
            touch_shares.conversion_key = channel_shares.conversion_key
            and touch_shares.channel_key = channel_shares.channel_key

),

summed as (

    select
        *,
        {{ or_nothing('hazard') }} as credit,
        sum(hazard) over (partition by conversion_key) as caused,
        sum({{ or_nothing('hazard') }}) over (partition by conversion_key) as credited
    from shares

),

final as (

    -- Where no touch of a conversion has an effect, its touches share equally.
    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        credit as hazard,
        removal_share,
        greatest(1.0 - credited, 0.0) as baseline_share,
        coalesce(
            hazard / nullif(caused, 0), cast(1.0 as double) / journey_length
        ) as hazard_without_baseline
    from summed

)

select * from final

-- grain: one row per conversion and touchpoint. initializer, holder and closer each add up to 1 per
-- conversion (or are all 0, where no touch belongs to the phase); the three credits add up to ihc,
-- and ihc adds up to 1. Conversions that the external service has answered take its shares.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_of_changed_person() }} and {{ is_computed('ihc') }}

),

memberships as (

    select * from {{ ref('int_ihc_memberships') }}
    where {{ is_of_changed_person() }}

),

ihc_channel_factors as (

    select * from {{ ref('ihc_channel_factors') }}

),

ihc_phase_weights as (

    select * from {{ ref('ihc_phase_weights') }}

),

service_credits as (

    select * from {{ ref('stg_ihc_service__credits') }}

),

answered as (

    -- An answer counts where it is about the very touches of the journey as it is now.
    select
        service_credits.source,
        service_credits.conversion_id
    from service_credits
    inner join journey_touchpoints
        on
            service_credits.source = journey_touchpoints.source
            and service_credits.conversion_id = journey_touchpoints.conversion_id
            and service_credits.touchpoint_id = journey_touchpoints.touchpoint_id
    group by service_credits.source, service_credits.conversion_id
    having
        count(*) = max(journey_touchpoints.journey_length)
        and abs(sum(service_credits.ihc) - 1) < 1e-6

),

answers as (

    select service_credits.*
    from service_credits
    inner join answered
        on
            service_credits.source = answered.source
            and service_credits.conversion_id = answered.conversion_id

),

channel_factors as (

    select
        lower(trim(channel)) as folded_channel,
        max(case when phase = 'initializer' then factor end) as initializer_factor,
        max(case when phase = 'holder' then factor end) as holder_factor,
        max(case when phase = 'closer' then factor end) as closer_factor
    from ihc_channel_factors
    group by lower(trim(channel))

),

phase_weights as (

    select
        max(case when phase = 'initializer' then weight end) as initializer_weight,
        max(case when phase = 'holder' then weight end) as holder_weight,
        max(case when phase = 'closer' then weight end) as closer_weight
    from ihc_phase_weights

),

multiplied as (

    -- A channel without a factor counts as it is.
    select
        memberships.source,
        memberships.conversion_id,
        memberships.touchpoint_id,
        memberships.person_key,
        memberships.initializer_membership
        * coalesce(channel_factors.initializer_factor, 1) as initializer_membership,
        memberships.holder_membership
        * coalesce(channel_factors.holder_factor, 1) as holder_membership,
        memberships.closer_membership
        * coalesce(channel_factors.closer_factor, 1) as closer_membership
    from memberships
    left join channel_factors
        on lower(trim(memberships.channel)) = channel_factors.folded_channel

),

membership_totals as (

    select
        source,
        conversion_id,
        sum(initializer_membership) as initializer_total,
        sum(holder_membership) as holder_total,
        sum(closer_membership) as closer_total
    from multiplied
    group by source, conversion_id

),

phases as (

    -- A touch's share of its journey's membership; 0 where no touch belongs to the phase.
    select
        multiplied.source,
        multiplied.conversion_id,
        multiplied.touchpoint_id,
        {% for phase in ['initializer', 'holder', 'closer'] %}
        coalesce(
            multiplied.{{ phase }}_membership / nullif(membership_totals.{{ phase }}_total, 0), 0
        ) as {{ phase }},
        {% endfor %}
        multiplied.person_key
    from multiplied
    inner join membership_totals
        on
            multiplied.source = membership_totals.source
            and multiplied.conversion_id = membership_totals.conversion_id

),

chosen as (

    select
        phases.source,
        phases.conversion_id,
        phases.touchpoint_id,
        phases.person_key,
        answers.ihc as service_ihc,
        coalesce(answers.initializer, phases.initializer) as initializer,
        coalesce(answers.holder, phases.holder) as holder,
        coalesce(answers.closer, phases.closer) as closer,
        answers.ihc is not null as is_from_service
    from phases
    left join answers
        on
            phases.source = answers.source
            and phases.conversion_id = answers.conversion_id
            and phases.touchpoint_id = answers.touchpoint_id

),

weighted as (

    select
        chosen.*,
        chosen.initializer * phase_weights.initializer_weight as initializer_weight,
        chosen.holder * phase_weights.holder_weight as holder_weight,
        chosen.closer * phase_weights.closer_weight as closer_weight
    from chosen
    cross join phase_weights

),

touch_weights as (

    select
        *,
        initializer_weight + holder_weight + closer_weight as touch_weight,
        coalesce(
            service_ihc, initializer_weight + holder_weight + closer_weight
        ) as ihc_weight
    from weighted

),

weight_totals as (

    select
        source,
        conversion_id,
        sum(ihc_weight) as ihc_total
    from touch_weights
    group by source, conversion_id

),

final as (

    -- Dividing by the sum over the conversion renormalises the weights over the phases present. The
    -- first touch always initializes, so that there always is a phase.
    select
        touch_weights.source,
        touch_weights.conversion_id,
        touch_weights.touchpoint_id,
        touch_weights.person_key,
        touch_weights.is_from_service,
        touch_weights.initializer,
        touch_weights.holder,
        touch_weights.closer,
        {% for phase in ['initializer', 'holder', 'closer'] %}
        coalesce(
            touch_weights.{{ phase }}_weight
            * (touch_weights.ihc_weight / nullif(touch_weights.touch_weight, 0)),
            touch_weights.ihc_weight / 3
        ) / weight_totals.ihc_total as {{ phase }}_credit,
        {% endfor %}
        touch_weights.ihc_weight / weight_totals.ihc_total as ihc
    from touch_weights
    inner join weight_totals
        on
            touch_weights.source = weight_totals.source
            and touch_weights.conversion_id = weight_totals.conversion_id

)

select * from final

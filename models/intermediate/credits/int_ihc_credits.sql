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

recognised as (

    -- The service was told names, and answers with them: they give the keys.
    select
        journey_touchpoints.conversion_key,
        journey_touchpoints.touchpoint_key,
        journey_touchpoints.journey_length,
        service_credits.initializer,
        service_credits.holder,
        service_credits.closer,
        service_credits.ihc
    from service_credits
    inner join journey_touchpoints
        on
            {{ row_key('service_credits.source', 'service_credits.conversion_id') }}
            = journey_touchpoints.conversion_key
            and {{ row_key('service_credits.source', 'service_credits.touchpoint_id') }}
            = journey_touchpoints.touchpoint_key

),

answered as (

    -- An answer counts where it is about the very touches of the journey as it is now.
    select conversion_key
    from recognised
    group by conversion_key
    having count(*) = max(journey_length) and abs(sum(ihc) - 1) < 1e-6

),

answers as (

    select recognised.*
    from recognised
    inner join answered
        on recognised.conversion_key = answered.conversion_key

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
        memberships.conversion_key,
        memberships.touchpoint_key,
        memberships.person_key,
        memberships.channel_key,
        memberships.touch_date,
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
        conversion_key,
        sum(initializer_membership) as initializer_total,
        sum(holder_membership) as holder_total,
        sum(closer_membership) as closer_total
    from multiplied
    group by conversion_key

),

phases as (

    -- A touch's share of its journey's membership; 0 where no touch belongs to the phase.
    select
        multiplied.conversion_key,
        multiplied.touchpoint_key,
        {% for phase in ['initializer', 'holder', 'closer'] %}
        coalesce(
            multiplied.{{ phase }}_membership / nullif(membership_totals.{{ phase }}_total, 0), 0
        ) as {{ phase }},
        {% endfor %}
        multiplied.person_key,
        multiplied.channel_key,
        multiplied.touch_date
    from multiplied
    inner join membership_totals
        on multiplied.conversion_key = membership_totals.conversion_key

),

chosen as (

    select
        phases.conversion_key,
        phases.touchpoint_key,
        phases.person_key,
        phases.channel_key,
        phases.touch_date,
        answers.ihc as service_ihc,
        coalesce(answers.initializer, phases.initializer) as initializer,
        coalesce(answers.holder, phases.holder) as holder,
        coalesce(answers.closer, phases.closer) as closer,
        answers.ihc is not null as is_from_service
    from phases
    left join answers
        on
            phases.conversion_key = answers.conversion_key
            and phases.touchpoint_key = answers.touchpoint_key

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
        conversion_key,
        sum(ihc_weight) as ihc_total
    from touch_weights
    group by conversion_key

),

final as (

    -- Dividing by the sum over the conversion renormalises the weights over the phases present. The
    -- first touch always initializes, so that there always is a phase.
    select
        touch_weights.conversion_key,
        touch_weights.touchpoint_key,
        touch_weights.person_key,
        touch_weights.channel_key,
        touch_weights.touch_date,
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
        on touch_weights.conversion_key = weight_totals.conversion_key

)

select * from final

-- grain: one row per conversion and touchpoint. initializer, holder and closer each add up to 1 per
-- conversion (or are all 0, where no touch belongs to the phase); the three credits add up to ihc,
-- and ihc adds up to 1.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

memberships as (

    select * from {{ ref('int_ihc_memberships') }}

),

ihc_channel_factors as (

    select * from {{ ref('ihc_channel_factors') }}

),

ihc_phase_weights as (

    select * from {{ ref('ihc_phase_weights') }}

),

channel_factors as (

    select
        lower(trim(channel)) as channel_key,
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
        memberships.initializer_membership
        * coalesce(channel_factors.initializer_factor, 1) as initializer_membership,
        memberships.holder_membership
        * coalesce(channel_factors.holder_factor, 1) as holder_membership,
        memberships.closer_membership
        * coalesce(channel_factors.closer_factor, 1) as closer_membership
    from memberships
    inner join journey_touchpoints
        on
            memberships.source = journey_touchpoints.source
            and memberships.conversion_id = journey_touchpoints.conversion_id
            and memberships.touchpoint_id = journey_touchpoints.touchpoint_id
    left join channel_factors
        on lower(trim(journey_touchpoints.channel)) = channel_factors.channel_key

),

phases as (

    select
        source,
        conversion_id,
        touchpoint_id,
        {{ share_of_phase('initializer_membership') }} as initializer,
        {{ share_of_phase('holder_membership') }} as holder,
        {{ share_of_phase('closer_membership') }} as closer
    from multiplied

),

weighted as (

    select
        phases.*,
        phases.initializer * phase_weights.initializer_weight as initializer_weight,
        phases.holder * phase_weights.holder_weight as holder_weight,
        phases.closer * phase_weights.closer_weight as closer_weight
    from phases
    cross join phase_weights

),

totalled as (

    select
        *,
        initializer_weight + holder_weight + closer_weight as ihc_weight,
        sum(initializer_weight + holder_weight + closer_weight) over (
            partition by source, conversion_id
        ) as conversion_weight
    from weighted

),

final as (

    -- Dividing by the sum over the conversion renormalises the weights over the phases present. The
    -- first touch always initializes, so that there always is a phase.
    select
        source,
        conversion_id,
        touchpoint_id,
        initializer,
        holder,
        closer,
        initializer_weight / conversion_weight as initializer_credit,
        holder_weight / conversion_weight as holder_credit,
        closer_weight / conversion_weight as closer_credit,
        ihc_weight / conversion_weight as ihc
    from totalled

)

select * from final

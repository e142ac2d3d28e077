-- grain: one row per conversion and touchpoint. initializer, holder and closer each add up to 1 per
-- conversion (or are all 0, where no touch belongs to the phase); ihc adds up to 1.
with memberships as (

    select * from {{ ref('int_ihc_memberships') }}

),

ihc_phase_weights as (

    select * from {{ ref('ihc_phase_weights') }}

),

phase_weights as (

    select
        max(case when phase = 'initializer' then weight end) as initializer_weight,
        max(case when phase = 'holder' then weight end) as holder_weight,
        max(case when phase = 'closer' then weight end) as closer_weight
    from ihc_phase_weights

),

phases as (

    select
        source,
        conversion_id,
        touchpoint_id,
        {{ share_of_phase('initializer_membership') }} as initializer,
        {{ share_of_phase('holder_membership') }} as holder,
        {{ share_of_phase('closer_membership') }} as closer
    from memberships

),

weighted as (

    select
        phases.*,
        phases.initializer * phase_weights.initializer_weight
        + phases.holder * phase_weights.holder_weight
        + phases.closer * phase_weights.closer_weight as ihc_weight
    from phases
    cross join phase_weights

),

final as (

    -- Dividing by the sum over the conversion renormalises the weights over the phases present.
    select
        source,
        conversion_id,
        touchpoint_id,
        initializer,
        holder,
        closer,
        ihc_weight / sum(ihc_weight) over (partition by source, conversion_id) as ihc
    from weighted

)

select * from final

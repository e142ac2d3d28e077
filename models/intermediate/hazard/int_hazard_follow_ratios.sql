-- grain: one row per channel with a touch of a person who had been touched before. Not additive.
with touchpoints as (

    select * from {{ ref('int_hazard_touchpoints') }}

),

exposures as (

    select * from {{ ref('int_hazard_exposure') }}

),

numbered as (

    select
        *,
        count(*) over () as touches
    from touchpoints

),

sampled as (

    select
        source,
        touchpoint_id,
        person_id,
        channel,
        touched_at
    from numbered
    where
        {{ hashed_uniform("concat('follow ', source, '/', touchpoint_id)") }}
        < {{ hazard_sampled_moments() }}.0 / touches

),

found as (

    -- A person's first touch finds nothing, and that person is not at risk before it.
    select
        sampled.source,
        sampled.touchpoint_id,
        sampled.channel,
        sum(
            case when earlier.channel = sampled.channel then 0.0 else 1.0 end
            * {{ faded(days_between('earlier.touched_at', 'sampled.touched_at'), 2) }}
        ) as mass_of_others
    from sampled
    inner join touchpoints as earlier
        on
            sampled.source = earlier.source
            and sampled.person_id = earlier.person_id
            and sampled.touched_at > earlier.touched_at
    group by sampled.source, sampled.touchpoint_id, sampled.channel

),

summed as (

    select
        channel,
        count(*) as sampled_touches,
        avg(mass_of_others) as mean_mass,
        coalesce(stddev_samp(mass_of_others), 0.0) as spread
    from found
    group by channel

),

at_random as (

    -- Time at risk, and that time weighted by what a channel's touches left behind.
    select
        channel,
        sum(case when decay_days = 2 then exposure end) as mass,
        sum(case when decay_days = 0 then exposure end) as days_at_risk
    from exposures
    group by channel

),

expected as (

    select
        summed.channel,
        summed.sampled_touches,
        summed.mean_mass,
        summed.spread,
        sum(
            case when at_random.channel = summed.channel then 0.0 else at_random.mass end
        ) / sum(at_random.days_at_risk) as expected_mass
    from summed
    cross join at_random
    group by summed.channel, summed.sampled_touches, summed.mean_mass, summed.spread

),

final as (

    select
        channel,
        sampled_touches,
        coalesce(mean_mass / nullif(expected_mass, 0), 1.0) as follow_ratio,
        coalesce(spread / sqrt(sampled_touches) / nullif(expected_mass, 0), 0.0) as std_error
    from expected

)

select * from final

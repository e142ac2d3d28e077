-- grain: one row per channel with a touch of a person who had been touched before. Not additive.
with touch_pairs as (

    select * from {{ ref('int_hazard_touch_pairs') }}

),

prompts as (

    select * from {{ ref('int_hazard_prompts') }}

),

touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard_calibrated') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

exposures as (

    select * from {{ ref('int_hazard_exposure') }}

),

followed as (

    -- A person's first touch finds nothing, and that person is not at risk before it.
    select
        channels.channel,
        1.0 - avg(case when touches.person_touch_number = 1 then 1.0 else 0.0 end) as followed_share
    from touches
    inner join channels
        on touches.channel_key = channels.channel_key
    group by channels.channel

),

summed as (

    -- Touches that prompted the channel are no sign of interest; as many as come after are.
    select
        touch_pairs.channel,
        touch_pairs.sampled_touches,
        sum(
            case
                when prompts.prompted_share > 0
                    then least(touch_pairs.mass_before, touch_pairs.mass_after)
                else touch_pairs.mass_before
            end
        ) as mass,
        sqrt(sum(touch_pairs.squared_mass_before)) as mass_std_error
    from touch_pairs
    left join prompts
        on
            touch_pairs.channel = prompts.channel
            and touch_pairs.other_channel = prompts.prompting_channel
    group by touch_pairs.channel, touch_pairs.sampled_touches

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
        summed.mass,
        summed.mass_std_error,
        summed.sampled_touches * followed.followed_share as found_touches,
        sum(
            case when at_random.channel = summed.channel then 0.0 else at_random.mass end
        ) / sum(at_random.days_at_risk) as expected_mass
    from summed
    inner join followed
        on summed.channel = followed.channel
    cross join at_random
    group by
        summed.channel,
        summed.sampled_touches,
        summed.mass,
        summed.mass_std_error,
        followed.followed_share

),

compared as (

    select
        channel,
        sampled_touches,
        coalesce(mass / nullif(found_touches * expected_mass, 0), 1.0) as follow_ratio,
        coalesce(mass_std_error / nullif(found_touches * expected_mass, 0), 0.0) as std_error
    from expected

),

common as (

    -- Where cookies are lost, a person falls apart into some that each live a short time, and
    -- touches of every channel come close together. That much says nothing of one channel.
    select greatest(1.0, min(follow_ratio + std_error)) as ratio
    from compared

),

final as (

    select
        compared.channel,
        compared.sampled_touches,
        compared.follow_ratio / common.ratio as follow_ratio,
        compared.std_error / common.ratio as std_error
    from compared
    cross join common

)

select * from final

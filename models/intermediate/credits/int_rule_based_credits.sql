-- grain: one row per conversion and touchpoint; one credit column per rule-based model. Each column
-- adds up to 1 per conversion; do not sum across columns.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

position_shares as (

    -- With two touches there is no middle: first and last share in proportion (half each if 0).
    select
        cast(first_share as double) as first_share,
        cast(middle_share as double) as middle_share,
        cast(last_share as double) as last_share,
        coalesce(
            cast(first_share as double)
            / nullif(cast(first_share as double) + cast(last_share as double), 0),
            0.5
        ) as share_of_two_first
    from {{ ref('position_shares') }}
    where attribution_model = 'position_based'

),

positioned as (

    select
        journey_touchpoints.*,
        max(case when channels.channel_group != 'Direct' then journey_touchpoints.touch_number end)
            over (
                partition by journey_touchpoints.source, journey_touchpoints.conversion_id
            ) as last_non_direct_touch_number,
        max(journey_touchpoints.touched_at) over (
            partition by journey_touchpoints.source, journey_touchpoints.conversion_id
        ) as last_touched_at
    from journey_touchpoints
    inner join channels
        on journey_touchpoints.channel = channels.channel

),

weighted as (

    -- Decay counts from the last touch and not from the conversion: the proportions are the same,
    -- and the last touch weighs 1, so that the sum cannot vanish however long the journey is.
    select
        *,
        power(
            2.0,
            -{{ hours_between('touched_at', 'last_touched_at') }}
            / (24.0 * {{ time_decay_half_life_days() }})
        ) as time_decay_weight
    from positioned

),

final as (

    select
        weighted.source,
        weighted.conversion_id,
        weighted.touchpoint_id,
        cast(
            case when weighted.touch_number = 1 then 1 else 0 end
            as double
        ) as first_touch,
        cast(
            case when weighted.touch_number = weighted.journey_length then 1 else 0 end
            as double
        ) as last_touch,
        cast(
            case
                when
                    weighted.touch_number = coalesce(
                        weighted.last_non_direct_touch_number, weighted.journey_length
                    )
                    then 1
                else 0
            end
            as double
        ) as last_non_direct_touch,
        cast(
            case
                when weighted.journey_length = 1 then 1
                when weighted.journey_length = 2 and weighted.touch_number = 1
                    then position_shares.share_of_two_first
                when weighted.journey_length = 2
                    then 1 - position_shares.share_of_two_first
                when weighted.touch_number = 1 then position_shares.first_share
                when weighted.touch_number = weighted.journey_length
                    then position_shares.last_share
                else position_shares.middle_share / (weighted.journey_length - 2)
            end
            as double
        ) as position_based,
        1 / cast(weighted.journey_length as double) as linear,
        weighted.time_decay_weight / sum(weighted.time_decay_weight) over (
            partition by weighted.source, weighted.conversion_id
        ) as time_decay
    from weighted
    cross join position_shares

)

select * from final

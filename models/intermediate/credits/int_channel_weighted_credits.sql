-- grain: one row per conversion and touchpoint; one credit column per model that weighs channels.
-- Each column adds up to 1 per conversion; do not sum across columns.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

markov_channel_totals as (

    select * from {{ ref('int_markov_channel_totals') }}

),

counted as (

    select
        source,
        conversion_id,
        touchpoint_id,
        conversion_type,
        channel,
        journey_length,
        count(*) over (partition by source, conversion_id, channel) as touches_of_channel
    from journey_touchpoints

),

weighted as (

    -- A channel's weight is shared equally by its touches: its removal effect under markov, and the
    -- same for every distinct channel under shapley.
    select
        counted.*,
        markov_channel_totals.removal_effect / counted.touches_of_channel as markov_weight,
        cast(1.0 as double) / counted.touches_of_channel as shapley_weight
    from counted
    left join markov_channel_totals
        on
            counted.conversion_type = markov_channel_totals.conversion_type
            and counted.channel = markov_channel_totals.channel

),

final as (

    -- Where removing any channel of a journey loses nothing, its touches share equally.
    select
        source,
        conversion_id,
        touchpoint_id,
        coalesce(
            markov_weight / nullif(
                sum(markov_weight) over (partition by source, conversion_id), 0
            ),
            cast(1.0 as double) / journey_length
        ) as markov,
        shapley_weight / sum(shapley_weight) over (partition by source, conversion_id) as shapley
    from weighted

)

select * from final

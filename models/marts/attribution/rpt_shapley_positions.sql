-- grain: one row per conversion type, channel and position. conversions and revenue are additive
-- and add up to the Shapley values of the channels.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

first_touches as (

    select
        source,
        conversion_id,
        conversion_type,
        channel,
        min(touch_number) as first_touch_number
    from journey_touchpoints
    group by source, conversion_id, conversion_type, channel

),

positioned as (

    -- The position of a channel is its place among the distinct channels of the journey.
    select
        source,
        conversion_id,
        conversion_type,
        channel,
        row_number() over (
            partition by source, conversion_id
            order by first_touch_number
        ) as position,
        1 / cast(count(*) over (partition by source, conversion_id) as double) as credit
    from first_touches

),

final as (

    select
        positioned.conversion_type,
        positioned.channel,
        positioned.position,
        sum(positioned.credit) as conversions,
        sum(positioned.credit * cast(conversions.revenue as double)) as revenue
    from positioned
    inner join conversions
        on
            positioned.source = conversions.source
            and positioned.conversion_id = conversions.conversion_id
    group by positioned.conversion_type, positioned.channel, positioned.position

)

select * from final

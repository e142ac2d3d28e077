-- grain: one row per conversion type, channel and position. conversions and revenue are additive
-- and add up to the Shapley values of the channels.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

first_touches as (

    select
        conversion_key,
        channel_key,
        min(touch_number) as first_touch_number
    from journey_touchpoints
    group by conversion_key, channel_key

),

positioned as (

    -- The position of a channel is its place among the distinct channels of the journey.
    select
        conversion_key,
        channel_key,
        row_number() over (
            partition by conversion_key
            order by first_touch_number
        ) as position,
        1 / cast(count(*) over (partition by conversion_key) as double) as credit
    from first_touches

),

added_up as (

    select
        journey_windows.conversion_type,
        positioned.channel_key,
        positioned.position,
        sum(positioned.credit) as conversions,
        sum(positioned.credit * cast(journey_windows.revenue as double)) as revenue
    from positioned
    inner join journey_windows
        on positioned.conversion_key = journey_windows.conversion_key
    group by journey_windows.conversion_type, positioned.channel_key, positioned.position

),

final as (

    select
        added_up.conversion_type,
        channels.channel,
        added_up.position,
        added_up.conversions,
        added_up.revenue
    from added_up
    inner join channels
        on added_up.channel_key = channels.channel_key

)

select * from final

-- grain: one row per channel and channel that prompts it. prompted_share is the share of the
-- channel's touches that would not be there without the prompting channel. Shares of a channel add
-- up to at most 1.
with touch_pairs as (

    select * from {{ ref('int_hazard_touch_pairs') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

balanced as (

    -- Interest comes and goes: it puts as many touches before as after. What prompts comes first.
    -- Direct visits are the person's own doing; nobody is paid for what they lead to.
    select
        touch_pairs.channel,
        touch_pairs.other_channel,
        touch_pairs.steady_touches,
        touch_pairs.touches_before,
        touch_pairs.touches_after,
        touch_pairs.squared_touches_before,
        touch_pairs.squared_touches_after,
        touch_pairs.touches_before_times_after,
        touch_pairs.expected_before / nullif(touch_pairs.expected_after, 0) as balance
    from touch_pairs
    left join channels
        on touch_pairs.other_channel = channels.channel
    where
        touch_pairs.steady_touches > 1
        and coalesce(channels.channel_group, '') != 'Direct'

),

compared as (

    select
        channel,
        other_channel,
        (touches_before - balance * touches_after) / steady_touches as prompted_share,
        sqrt(
            squared_touches_before
            - 2 * balance * touches_before_times_after
            + balance * balance * squared_touches_after
        ) / steady_touches as std_error
    from balanced
    where balance > 0

),

significant as (

    select
        *,
        sum(prompted_share) over (partition by channel) as share_of_channel
    from compared
    -- Four standard errors: hardly ever by chance in any of a hundred pairs. Shares below a
    -- hundredth move nothing.
    where prompted_share > greatest(4 * std_error, 0.01)

),

final as (

    select
        channel,
        other_channel as prompting_channel,
        cast(prompted_share / greatest(share_of_channel, 1.0) as double) as prompted_share,
        cast(std_error as double) as std_error
    from significant

)

select * from final

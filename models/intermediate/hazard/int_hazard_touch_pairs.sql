-- grain: one row per channel and other channel that touched the same people within two weeks. Sums
-- over sampled touches of the channel; not additive. Mass fades with a mean life of two days.
{% set days = prompt_window_days() %}

with touches as (

    -- More touches than these are no person's, and would make pairs by the million.
    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard_calibrated') }} and person_touch_number <= 1000

),

channels as (

    select * from {{ ref('int_channels') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

touch_counts as (

    select
        channel_key,
        count(*) as touches
    from touches
    group by channel_key

),

rates as (

    -- As many touches of every channel, about.
    select
        channel_key,
        {{ prompt_sampled_touches() }}.0 / count(*) over () / touches as sampled_share
    from touch_counts

),

sampled as (

    select
        touches.touchpoint_key,
        touches.person_key,
        touches.channel_key,
        touches.touched_at
    from touches
    inner join rates
        on touches.channel_key = rates.channel_key
    where {{ uniform_hash('follow', ['touches.touchpoint_key']) }} / rates.sampled_share < 1

),

interrupted as (

    -- Who converts may stop, so that touches before have no counterpart after.
    select distinct sampled.touchpoint_key
    from sampled
    inner join conversions
        on
            sampled.person_key = conversions.person_key
            and abs({{ days_between('sampled.touched_at', 'conversions.converted_at') }})
            <= {{ days }}

),

anchors as (

    select
        sampled.*,
        interrupted.touchpoint_key is null as is_steady
    from sampled
    left join interrupted
        on sampled.touchpoint_key = interrupted.touchpoint_key

),

aged as (

    select
        anchors.touchpoint_key,
        anchors.channel_key,
        anchors.is_steady,
        other_touches.channel_key as other_channel_key,
        {{ days_between('other_touches.touched_at', 'anchors.touched_at') }} as days_before
    from anchors
    inner join touches as other_touches
        on
            anchors.person_key = other_touches.person_key
            and anchors.channel_key != other_touches.channel_key
    where
        abs({{ days_between('other_touches.touched_at', 'anchors.touched_at') }}) <= {{ days }}

),

found as (

    select
        touchpoint_key,
        channel_key,
        is_steady,
        other_channel_key,
        {{ exact_sum_of_parts(
            'case when days_before > 0 then ' ~ faded('days_before', 2) ~ ' else 0.0 end'
        ) }} as mass_before,
        {{ exact_sum_of_parts(
            'case when days_before < 0 then ' ~ faded('-days_before', 2) ~ ' else 0.0 end'
        ) }} as mass_after,
        sum(case when days_before > 0 and is_steady then 1 else 0 end) as touches_before,
        sum(case when days_before < 0 and is_steady then 1 else 0 end) as touches_after
    from aged
    group by touchpoint_key, channel_key, is_steady, other_channel_key

),

summed as (

    select
        channel_key,
        other_channel_key,
        {{ exact_sum('mass_before') }} as mass_before,
        {{ exact_sum('mass_after') }} as mass_after,
        {{ exact_sum('mass_before * mass_before') }} as squared_mass_before,
        sum(touches_before) as touches_before,
        sum(touches_after) as touches_after,
        sum(touches_before * touches_before) as squared_touches_before,
        sum(touches_after * touches_after) as squared_touches_after,
        sum(touches_before * touches_after) as touches_before_times_after
    from found
    group by channel_key, other_channel_key

),

daily as (

    select
        channel_key,
        cast(touched_at as date) as touched_on,
        count(*) as touches
    from touches
    group by channel_key, cast(touched_at as date)

),

expected as (

    -- By the volumes of the days alone: campaigns begin and end, and so do the data.
    select
        daily.channel_key,
        other_touches.channel_key as other_channel_key,
        sum(
            case
                when other_touches.touched_on = daily.touched_on then 0.5
                when other_touches.touched_on < daily.touched_on then 1.0
                else 0.0
            end * daily.touches * other_touches.touches
        ) as expected_before,
        sum(
            case
                when other_touches.touched_on = daily.touched_on then 0.5
                when other_touches.touched_on > daily.touched_on then 1.0
                else 0.0
            end * daily.touches * other_touches.touches
        ) as expected_after
    from daily
    inner join daily as other_touches
        on
            daily.channel_key != other_touches.channel_key
            and abs({{ days_between('other_touches.touched_on', 'daily.touched_on') }})
            <= {{ days }}
    group by daily.channel_key, other_touches.channel_key

),

anchor_counts as (

    select
        channel_key,
        count(*) as sampled_touches,
        sum(case when is_steady then 1 else 0 end) as steady_touches
    from anchors
    group by channel_key

),

final as (

    select
        channels.channel,
        other_channels.channel as other_channel,
        summed.mass_before,
        summed.mass_after,
        summed.squared_mass_before,
        summed.touches_before,
        summed.touches_after,
        summed.squared_touches_before,
        summed.squared_touches_after,
        summed.touches_before_times_after,
        anchor_counts.sampled_touches,
        anchor_counts.steady_touches,
        expected.expected_before,
        expected.expected_after
    from summed
    inner join anchor_counts
        on summed.channel_key = anchor_counts.channel_key
    inner join expected
        on
            summed.channel_key = expected.channel_key
            and summed.other_channel_key = expected.other_channel_key
    inner join channels
        on summed.channel_key = channels.channel_key
    inner join channels as other_channels
        on summed.other_channel_key = other_channels.channel_key

)

select * from final

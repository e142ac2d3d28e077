-- grain: one row per channel and other channel that touched the same people within two weeks. Sums
-- over sampled touches of the channel; not additive. Mass fades with a mean life of two days.
{% set days = prompt_window_days() %}

with touchpoints as (

    select * from {{ ref('int_hazard_touchpoints') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

numbered as (

    select
        *,
        count(*) over (partition by channel) as touches
    from touchpoints

),

channel_count as (

    select count(distinct channel) as channels from touchpoints

),

sampled as (

    select
        numbered.source,
        numbered.touchpoint_id,
        numbered.person_id,
        numbered.channel,
        numbered.touched_at
    from numbered
    cross join channel_count
    where
        {{ hashed_uniform("concat('follow ', source, '/', touchpoint_id)") }}
        < {{ prompt_sampled_touches() }}.0 / channel_count.channels / numbered.touches

),

interrupted as (

    -- Who converts may stop, so that touches before have no counterpart after.
    select distinct
        sampled.source,
        sampled.touchpoint_id
    from sampled
    inner join conversions
        on
            sampled.source = conversions.source
            and sampled.person_id = conversions.person_id
            and abs({{ days_between('sampled.touched_at', 'conversions.converted_at') }})
            <= {{ days }}

),

anchors as (

    select
        sampled.*,
        interrupted.touchpoint_id is null as is_steady
    from sampled
    left join interrupted
        on
            sampled.source = interrupted.source
            and sampled.touchpoint_id = interrupted.touchpoint_id

),

aged as (

    select
        anchors.source,
        anchors.touchpoint_id,
        anchors.channel,
        anchors.is_steady,
        other_touches.channel as other_channel,
        {{ days_between('other_touches.touched_at', 'anchors.touched_at') }} as days_before
    from anchors
    inner join touchpoints as other_touches
        on
            anchors.source = other_touches.source
            and anchors.person_id = other_touches.person_id
            and anchors.channel != other_touches.channel
    where
        abs({{ days_between('other_touches.touched_at', 'anchors.touched_at') }}) <= {{ days }}

),

found as (

    select
        source,
        touchpoint_id,
        channel,
        is_steady,
        other_channel,
        {{ exact_sum(
            'case when days_before > 0 then ' ~ faded('days_before', 2) ~ ' else 0.0 end'
        ) }} as mass_before,
        {{ exact_sum(
            'case when days_before < 0 then ' ~ faded('-days_before', 2) ~ ' else 0.0 end'
        ) }} as mass_after,
        sum(case when days_before > 0 and is_steady then 1 else 0 end) as touches_before,
        sum(case when days_before < 0 and is_steady then 1 else 0 end) as touches_after
    from aged
    group by source, touchpoint_id, channel, is_steady, other_channel

),

summed as (

    select
        channel,
        other_channel,
        {{ exact_sum('mass_before') }} as mass_before,
        {{ exact_sum('mass_after') }} as mass_after,
        {{ exact_sum('mass_before * mass_before') }} as squared_mass_before,
        sum(touches_before) as touches_before,
        sum(touches_after) as touches_after,
        sum(touches_before * touches_before) as squared_touches_before,
        sum(touches_after * touches_after) as squared_touches_after,
        sum(touches_before * touches_after) as touches_before_times_after
    from found
    group by channel, other_channel

),

daily as (

    select
        channel,
        cast(touched_at as date) as touched_on,
        count(*) as touches
    from touchpoints
    group by channel, cast(touched_at as date)

),

expected as (

    -- By the volumes of the days alone: campaigns begin and end, and so do the data.
    select
        daily.channel,
        other_touches.channel as other_channel,
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
            daily.channel != other_touches.channel
            and abs({{ days_between('other_touches.touched_on', 'daily.touched_on') }})
            <= {{ days }}
    group by daily.channel, other_touches.channel

),

anchor_counts as (

    select
        channel,
        count(*) as sampled_touches,
        sum(case when is_steady then 1 else 0 end) as steady_touches
    from anchors
    group by channel

),

final as (

    select
        summed.*,
        anchor_counts.sampled_touches,
        anchor_counts.steady_touches,
        expected.expected_before,
        expected.expected_after
    from summed
    inner join anchor_counts
        on summed.channel = anchor_counts.channel
    inner join expected
        on
            summed.channel = expected.channel
            and summed.other_channel = expected.other_channel

)

select * from final

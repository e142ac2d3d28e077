-- grain: one row per conversion type, source, person_day_id and channel touched so far in the
-- journey. level_<days> is additive over touches: each counts 1 and fades at that mean life.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with draws as (

    select * from {{ ref('int_person_day_draws') }}

),

touches as (

    select * from {{ ref('int_touches') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

windows as (

    -- Conversion types that look back as far from an instant share what they see.
    select distinct
        source,
        person_day_id,
        person_key,
        window_opens_at,
        observed_at
    from draws

),

aged as (

    select
        windows.source,
        windows.person_day_id,
        windows.window_opens_at,
        touches.channel_key,
        {{ days_between('touches.touched_at', 'windows.observed_at') }} as age_days
    from windows
    inner join touches
        on
            windows.person_key = touches.person_key
            and windows.window_opens_at <= touches.touched_at
            and windows.observed_at {{ at_conversion }} touches.touched_at

),

aggregated as (

    select
        source,
        person_day_id,
        window_opens_at,
        channel_key,
        {%- for days in person_day_scales() %}
        {{ exact_sum('exp(-age_days / ' ~ days ~ '.0)') }} as level_{{ days }},
        {%- endfor %}
        count(*) as touches
    from aged
    group by source, person_day_id, window_opens_at, channel_key

),

final as (

    select
        draws.conversion_type,
        draws.source,
        draws.person_day_id,
        channels.channel,
        channels.channel_group = 'Direct' as is_behaviour,
        {%- for days in person_day_scales() %}
        aggregated.level_{{ days }},
        {%- endfor %}
        aggregated.touches
    from draws
    inner join aggregated
        on
            draws.source = aggregated.source
            and draws.person_day_id = aggregated.person_day_id
            and draws.window_opens_at = aggregated.window_opens_at
    inner join channels
        on aggregated.channel_key = channels.channel_key

)

select * from final

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

aged as (

    select
        draws.conversion_type,
        draws.source,
        draws.person_day_id,
        touches.channel_key,
        {{ hours_between('touches.touched_at', 'draws.observed_at') }} / 24.0 as age_days
    from draws
    inner join touches
        on
            draws.person_key = touches.person_key
            and draws.window_opens_at <= touches.touched_at
            and draws.observed_at {{ at_conversion }} touches.touched_at

),

aggregated as (

    select
        conversion_type,
        source,
        person_day_id,
        channel_key,
        {%- for days in person_day_scales() %}
        {{ exact_sum('exp(-age_days / ' ~ days ~ '.0)') }} as level_{{ days }},
        {%- endfor %}
        count(*) as touches
    from aged
    group by conversion_type, source, person_day_id, channel_key

),

final as (

    select
        aggregated.conversion_type,
        aggregated.source,
        aggregated.person_day_id,
        channels.channel,
        channels.channel_group = 'Direct' as is_behaviour,
        {%- for days in person_day_scales() %}
        aggregated.level_{{ days }},
        {%- endfor %}
        aggregated.touches
    from aggregated
    inner join channels
        on aggregated.channel_key = channels.channel_key

)

select * from final

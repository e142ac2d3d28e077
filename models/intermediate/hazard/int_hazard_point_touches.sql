-- grain: one row per moment and window of int_hazard_points, and channel and ordinal present at
-- it, (baseline) among them. weight, on the row of the baseline, is the person-days that a moment
-- stands for. Heights (left_) are additive over touches.
{%- set effect_decays = hazard_decays() | rejectattr('is_interest') | list %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

moments as (

    select distinct
        point_key,
        person_key,
        happened_at,
        window_opens_at,
        moments_per_day,
        moments_per_touch
    from {{ ref('int_hazard_points') }}

),

aged as (

    select
        moments.point_key,
        moments.moments_per_day,
        moments.moments_per_touch,
        touches.channel_key,
        touches.ordinal,
        {{ days_between('touches.touched_at', 'moments.happened_at') }} as age_days,
        touches.touched_at >= moments.window_opens_at as is_present
    from moments
    inner join touches
        on
            moments.person_key = touches.person_key
            and moments.happened_at >= touches.touched_at

),

weighted as (

    -- A moment stands for as many person-days as there are days per moment at its place.
    select
        point_key,
        1.0 / (
            moments_per_day + moments_per_touch * (
                {%- for decay in effect_decays %}
                {{ '+ ' if not loop.first -}}
                {{ exact_sum(faded('age_days', decay.days)) }} / {{ decay.days * loop.length }}.0
                {%- endfor %}
            )
        ) as weight
    from aged
    group by point_key, moments_per_day, moments_per_touch

),

faded as (

    select
        point_key,
        channel_key,
        {%- for decay in hazard_decays() %}
        {{ exact_sum(faded('age_days', decay.days)) }} as left_{{ decay.days }},
        {%- endfor %}
        ordinal
    from aged
    where is_present
    group by point_key, channel_key, ordinal

),

final as (

    select
        faded.point_key,
        channels.channel,
        {%- for decay in hazard_decays() %}
        faded.left_{{ decay.days }},
        {%- endfor %}
        cast(faded.ordinal as integer) as ordinal,
        cast(null as double) as weight
    from faded
    inner join channels
        on faded.channel_key = channels.channel_key
    union all
    select
        point_key,
        '(baseline)' as channel,
        {%- for decay in hazard_decays() %}
        cast(null as double) as left_{{ decay.days }},
        {%- endfor %}
        0 as ordinal,
        cast(weight as double) as weight
    from weighted

)

select * from final

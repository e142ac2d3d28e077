-- grain: one row per conversion type that somebody has had twice, channel, ordinal and decay.
-- repeat_exposure, in person-days of the reporting period, is additive.
-- What touches, whether before a person's first conversion or after it, leave after it.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard') }}

),

touched_persons as (

    select * from {{ ref('int_touched_persons') }}
    where {{ is_computed('hazard') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

observed_sources as (

    select * from {{ ref('int_observed_sources') }}

),

first_conversions as (

    select
        person_key,
        conversion_type,
        min(converted_at) as first_converted_at
    from conversions
    group by person_key, conversion_type

),

converted as (

    select
        first_conversions.person_key,
        first_conversions.conversion_type,
        observed_sources.ends_at,
        greatest(first_conversions.first_converted_at, observed_sources.opens_at) as begins_at
    from first_conversions
    inner join touched_persons
        on first_conversions.person_key = touched_persons.person_key
    inner join conversion_types
        on
            touched_persons.source = conversion_types.source
            and first_conversions.conversion_type = conversion_types.conversion_type
            and conversion_types.is_repeated
    inner join observed_sources
        on touched_persons.source = observed_sources.source

),
{%- if journey_scope() == 'since_last_conversion' %}

used_up as (

    -- A touch before the first conversion is used up by it, if not before.
    select
        touches.touchpoint_key,
        conversions.conversion_type,
        min(conversions.converted_at) as used_up_at
    from touches
    inner join conversions
        on
            touches.person_key = conversions.person_key
            and conversions.converted_at {{ at_conversion }} touches.touched_at
    group by touches.touchpoint_key, conversions.conversion_type

),
{%- endif %}

lasting as (

    select
        converted.conversion_type,
        touches.channel_key,
        touches.ordinal,
        touches.touched_at,
        greatest(touches.touched_at, converted.begins_at) as begins_at,
        least(
            converted.ends_at
            {%- if lookback_days() %},
            {{ days_later('touches.touched_at', lookback_days()) }}
            {%- endif %}
            {%- if journey_scope() == 'since_last_conversion' %},
            used_up.used_up_at
            {%- endif %}
        ) as ends_at
    from touches
    inner join converted
        on touches.person_key = converted.person_key
    {%- if journey_scope() == 'since_last_conversion' %}
    left join used_up
        on
            touches.touchpoint_key = used_up.touchpoint_key
            and converted.conversion_type = used_up.conversion_type
    {%- endif %}

),

aged as (

    select
        conversion_type,
        channel_key,
        ordinal,
        {{ days_between('touched_at', 'begins_at') }} as age_at_begin,
        {{ days_between('touched_at', 'ends_at') }} as age_at_end
    from lasting
    where begins_at < ends_at

),

summed as (

    select
        conversion_type,
        channel_key,
        {%- for decay in hazard_decays() %}
        {{ decay.days }} * {{ exact_sum_of_parts(
            '(' ~ faded('age_at_begin', decay.days) ~ ' - ' ~ faded('age_at_end', decay.days) ~ ')'
        ) }} as exposure_{{ decay.days }},
        {%- endfor %}
        ordinal
    from aged
    group by conversion_type, channel_key, ordinal

),

final as (

    {%- for decay in hazard_decays() %}
    select
        summed.conversion_type,
        channels.channel,
        summed.ordinal,
        {{ decay.days }} as decay_days,
        summed.exposure_{{ decay.days }} as repeat_exposure
    from summed
    inner join channels
        on summed.channel_key = channels.channel_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select * from final

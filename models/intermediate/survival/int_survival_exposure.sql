-- grain: one row per conversion type, channel and bin of days: a histogram of how long touches of
-- the reporting period are observed. touches is additive; observed_days is the mean of the bin.
-- A touch is observed until it is older than the lookback, or to the end of the data; and until the
-- person's next conversion of the type, where that uses it up or nobody converts twice.
-- depends_on: {{ ref('int_journey_touchpoints') }}
{%- set uses_up = journey_scope() == 'since_last_conversion' %}
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ in_reporting_period('touched_at') }} and {{ is_computed('survival') }}

),

touched_persons as (

    select * from {{ ref('int_touched_persons') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

{%- if uses_up %}
journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),
{%- endif %}

observed_sources as (

    select * from {{ ref('int_observed_sources') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

only_conversions as (

    -- Of the types that nobody has twice: a person may have several of one instant.
    select
        conversions.person_key,
        conversions.conversion_type,
        min(conversions.converted_at) as converted_at
    from conversions
    inner join conversion_types
        on
            conversions.source = conversion_types.source
            and conversions.conversion_type = conversion_types.conversion_type
            and not conversion_types.is_repeated
    group by conversions.person_key, conversions.conversion_type

),

{%- if uses_up %}

used_up as (

    -- Conversions that are not of the journeys come after the lookback, which ends a touch anyway.
    select
        touchpoint_key,
        conversion_type,
        min(converted_at) as used_up_at
    from journey_touchpoints
    group by touchpoint_key, conversion_type

),
{%- endif %}

lasting as (

    select
        conversion_types.conversion_type,
        touches.channel_key,
        {{ days_between(
            'touches.touched_at',
            'coalesce(' ~ ('used_up.used_up_at, ' if uses_up else '')
            ~ 'only_conversions.converted_at, observed_sources.ends_at)'
        ) }} as days_left
    from touches
    inner join touched_persons
        on touches.person_key = touched_persons.person_key
    inner join conversion_types
        on touched_persons.source = conversion_types.source
    inner join observed_sources
        on touched_persons.source = observed_sources.source
    {%- if uses_up %}
    left join used_up
        on
            touches.touchpoint_key = used_up.touchpoint_key
            and conversion_types.conversion_type = used_up.conversion_type
    {%- endif %}
    left join only_conversions
        on
            touches.person_key = only_conversions.person_key
            and conversion_types.conversion_type = only_conversions.conversion_type
    where
        only_conversions.converted_at is null
        or only_conversions.converted_at {{ at_conversion }} touches.touched_at

),

limited as (

    select
        conversion_type,
        channel_key,
        {%- if lookback_days() %}
        least(days_left, {{ lookback_days() }}) as observed_days
        {%- else %}
        days_left as observed_days
        {%- endif %}
    from lasting

),

binned as (

    select
        conversion_type,
        channel_key,
        {{ bin_of_days('observed_days') }} as days_bin,
        {{ exact_sum('observed_days') }} / count(*) as observed_days,
        count(*) as touches
    from limited
    group by conversion_type, channel_key, {{ bin_of_days('observed_days') }}

),

final as (

    select
        binned.conversion_type,
        channels.channel,
        binned.days_bin,
        binned.observed_days,
        binned.touches
    from binned
    inner join channels
        on binned.channel_key = channels.channel_key

)

select * from final

-- grain: one row per conversion type, channel and bin of days: a histogram of how long touches of
-- the reporting period are observed. touches is additive; observed_days is the mean of the bin.
-- A touch is observed until the person's next conversion of the type, until it is older than the
-- lookback, or to the end of the data.
with touchpoints as (

    select * from {{ ref('int_hazard_touchpoints') }}
    where {{ in_reporting_period('touched_at') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

observed as (

    select * from {{ ref('int_hazard_observed') }}

),

used_up as (

    -- Conversions that are not of the journeys come after the lookback, which ends a touch anyway.
    select
        source,
        touchpoint_id,
        conversion_type,
        min(converted_at) as used_up_at
    from journey_touchpoints
    group by source, touchpoint_id, conversion_type

),

lasting as (

    select
        conversion_types.conversion_type,
        touchpoints.channel,
        {{ days_between(
            'touchpoints.touched_at', 'coalesce(used_up.used_up_at, observed.ends_at)'
        ) }} as days_left
    from touchpoints
    inner join conversion_types
        on touchpoints.source = conversion_types.source
    cross join observed
    left join used_up
        on
            touchpoints.source = used_up.source
            and touchpoints.touchpoint_id = used_up.touchpoint_id
            and conversion_types.conversion_type = used_up.conversion_type

),

limited as (

    select
        conversion_type,
        channel,
        {%- if lookback_days() %}
        least(days_left, {{ lookback_days() }}) as observed_days
        {%- else %}
        days_left as observed_days
        {%- endif %}
    from lasting

),

final as (

    select
        conversion_type,
        channel,
        {{ bin_of_days('observed_days') }} as days_bin,
        {{ exact_sum('observed_days') }} / count(*) as observed_days,
        count(*) as touches
    from limited
    group by conversion_type, channel, {{ bin_of_days('observed_days') }}

)

select * from final

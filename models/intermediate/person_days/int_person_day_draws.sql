-- grain: one row per conversion type, source and person_day_id: a conversion of a person at risk,
-- or an instant drawn from the time at risk. weight, known for conversions only, is additive over
-- them: how many each stands for.
-- Instants are drawn in two ways: at even chances over all time at risk, and some days after a
-- touch, where more can be learned. Everything is drawn by hash, so a build draws the same again.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('data_driven') }}

),

people as (

    select * from {{ ref('int_touched_persons') }}
    where {{ is_computed('data_driven') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

observed_sources as (

    select * from {{ ref('int_observed_sources') }}

),

at_risk as (

    -- A person is at risk from the first touch on, as far as the reporting period goes.
    select
        people.source,
        people.person_key,
        people.touches,
        people.entered_at,
        observed_sources.ends_at,
        greatest(people.entered_at, observed_sources.opens_at) as begins_at
    from people
    inner join observed_sources
        on people.source = observed_sources.source

),

lasting as (

    select
        *,
        {{ days_between('begins_at', 'ends_at') }} as days_left
    from at_risk
    where begins_at < ends_at

),

conversion_counts as (

    select
        conversion_type,
        count(*) as conversions
    from conversions
    group by conversion_type

),

{% set drawn = drawn_person_days() %}
amounts as (

    -- Instants to draw in each of the two ways.
    select
        0.5 * least(
            greatest({{ drawn.per_conversion }} * coalesce(max(conversions), 0), {{ drawn.least }}),
            {{ drawn.most }}
        ) as instants
    from conversion_counts

),

touch_counts as (

    select sum(touches) as touches
    from people

),

risk as (

    select {{ exact_sum('days_left') }} as total_days_left
    from lasting

),

rates as (

    -- Instants to draw per person-day, and per touch.
    select
        amounts.instants / nullif(risk.total_days_left, 0) as per_day,
        least(1.0, amounts.instants / nullif(touch_counts.touches, 0)) as per_touch
    from amounts
    cross join touch_counts
    cross join risk

),

numbers as (

    {%- for number in range(drawn_per_person()) %}
    select {{ number }} as draw_number
    {{- ' union all' if not loop.last }}
    {%- endfor %}

),

paced as (

    select
        lasting.source,
        lasting.person_key,
        lasting.entered_at,
        lasting.begins_at,
        lasting.ends_at,
        lasting.days_left,
        least(rates.per_day, {{ drawn_per_person() }} / lasting.days_left) as per_day,
        least(rates.per_touch, {{ drawn_after_touches_per_person() }}.0 / lasting.touches)
            as per_touch
    from lasting
    cross join rates

),

drawn_over_time as (

    -- Whole numbers of instants whose mean is rate x days.
    select
        paced.person_key,
        concat('time/', paced.person_key, '/', numbers.draw_number) as person_day_id,
        paced.begins_at as starts_at,
        cast(null as timestamp) as anchored_at,
        paced.days_left
        * {{ uniform_hash('when', ['paced.person_key', 'numbers.draw_number']) }} as days_after
    from paced
    inner join numbers
        on
            numbers.draw_number < floor(
                paced.days_left * paced.per_day
                + {{ uniform_hash('count', ['paced.person_key']) }}
            )

),

drawn_after_touches as (

    -- Exponential delays with the mean lives of the scales, one as likely as the other.
    select
        touches.person_key,
        concat('touch/', touches.touchpoint_key) as person_day_id,
        touches.touched_at as starts_at,
        touches.touched_at as anchored_at,
        -ln({{ uniform_hash('delay', ['touches.touchpoint_key']) }})
        * case
            when {{ uniform_hash('scale', ['touches.touchpoint_key']) }} < 0.5
                then {{ person_day_scales()[0] }}
            else {{ person_day_scales()[1] }}
        end as days_after
    from touches
    inner join paced
        on touches.person_key = paced.person_key
    where {{ uniform_hash('touch', ['touches.touchpoint_key']) }} / paced.per_touch < 1

),

drawn as (

    select * from drawn_over_time
    union all
    select * from drawn_after_touches

),

placed as (

    -- Rounded up to seconds, so that a touch is always before the instants drawn after it.
    select
        paced.source,
        paced.person_key,
        drawn.person_day_id,
        drawn.anchored_at,
        paced.entered_at,
        paced.begins_at,
        paced.ends_at,
        paced.per_day,
        paced.per_touch,
        {{ dbt.dateadd(
            'second',
            'cast(ceil(drawn.days_after * 86400.0) as bigint)',
            'drawn.starts_at'
        ) }} as observed_at
    from drawn
    inner join paced
        on drawn.person_key = paced.person_key

),

preceded as (

    select
        placed.source,
        placed.person_key,
        placed.person_day_id,
        conversion_types.conversion_type,
        conversion_types.is_repeated,
        placed.anchored_at,
        placed.entered_at,
        placed.per_day,
        placed.per_touch,
        placed.observed_at,
        max(conversions.converted_at) as previous_converted_at
    from placed
    inner join conversion_types
        on placed.source = conversion_types.source
    left join conversions
        on
            placed.person_key = conversions.person_key
            and conversion_types.conversion_type = conversions.conversion_type
            and placed.observed_at > conversions.converted_at
    where
        placed.observed_at >= placed.begins_at
        and placed.observed_at < placed.ends_at
    group by
        placed.source,
        placed.person_key,
        placed.person_day_id,
        conversion_types.conversion_type,
        conversion_types.is_repeated,
        placed.anchored_at,
        placed.entered_at,
        placed.per_day,
        placed.per_touch,
        placed.observed_at

),

opened as (

    select
        *,
        greatest(
            {{ lookback_opening('observed_at') }}, {{ scope_opening('previous_converted_at') }}
        ) as window_opens_at
    from preceded
    -- Where nobody converts twice, who has converted is no more at risk.
    where previous_converted_at is null or is_repeated

),

touched_conversions as (

    -- Those that have a journey. The journeys themselves are not waited for: to learn from what is
    -- drawn here takes the longest of all.
    select distinct journey_windows.conversion_key
    from journey_windows
    inner join touches
        on
            journey_windows.person_key = touches.person_key
            and journey_windows.window_opens_at <= touches.touched_at
            and journey_windows.converted_at {{ at_conversion }} touches.touched_at

),

ranked as (

    select
        journey_windows.source,
        journey_windows.person_key,
        journey_windows.conversion_id,
        journey_windows.conversion_type,
        journey_windows.revenue,
        journey_windows.converted_at,
        journey_windows.window_opens_at,
        journey_windows.previous_converted_at,
        people.entered_at,
        row_number() over (
            partition by
                journey_windows.conversion_type, touched_conversions.conversion_key is not null
            order by
                md5(concat(journey_windows.source, '/', journey_windows.conversion_id)),
                journey_windows.source,
                journey_windows.conversion_id
        ) as draw,
        count(*) over (
            partition by
                journey_windows.conversion_type, touched_conversions.conversion_key is not null
        ) as conversions
    from journey_windows
    inner join people
        on
            journey_windows.person_key = people.person_key
            and journey_windows.converted_at {{ at_conversion }} people.entered_at
    left join touched_conversions
        on journey_windows.conversion_key = touched_conversions.conversion_key

),

final as (

    select
        source,
        concat('conversion/', conversion_id) as person_day_id,
        person_key,
        conversion_type,
        true as is_conversion,
        cast(revenue as double) as revenue,
        cast(greatest(conversions / {{ learned_conversions() }}.0, 1.0) as double) as weight,
        cast(null as double) as per_day,
        cast(null as double) as per_touch,
        previous_converted_at is not null as is_repeat,
        {{ days_between('entered_at', 'converted_at') }} as days_at_risk,
        window_opens_at,
        converted_at as observed_at
    from ranked
    where draw <= {{ learned_conversions() }}
    union all
    -- An instant after a touch counts only while the touch does.
    select
        source,
        person_day_id,
        person_key,
        conversion_type,
        false as is_conversion,
        cast(0 as double) as revenue,
        cast(null as double) as weight,
        cast(per_day as double) as per_day,
        cast(per_touch as double) as per_touch,
        previous_converted_at is not null as is_repeat,
        {{ days_between('entered_at', 'observed_at') }} as days_at_risk,
        window_opens_at,
        observed_at
    from opened
    where anchored_at is null or anchored_at >= window_opens_at

)

select * from final

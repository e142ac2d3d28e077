-- grain: one row per sampled moment of a person at risk and conversion type. Moments are denser
-- after touches, where the hazard changes. Conversion types that look back as far from a moment
-- share its point_key: they see the same touches (int_hazard_point_touches).
{%- set effect_decays = hazard_decays() | rejectattr('is_interest') | list %}

with touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_computed('hazard') }}

),

touched_persons as (

    select * from {{ ref('int_touched_persons') }}
    where {{ is_computed('hazard') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

observed_sources as (

    select * from {{ ref('int_observed_sources') }}

),

entered as (

    select
        touched_persons.source,
        touched_persons.person_key,
        touched_persons.touches,
        observed_sources.ends_at,
        greatest(touched_persons.entered_at, observed_sources.opens_at) as begins_at
    from touched_persons
    inner join observed_sources
        on touched_persons.source = observed_sources.source

),

people as (

    select
        source,
        person_key,
        begins_at,
        ends_at,
        {{ days_between('begins_at', 'ends_at') }} as days_at_risk,
        {{ hazard_sampled_moments() }}.0 / count(*) over () as moments_per_person,
        least(
            {{ hazard_sampled_moments() }}.0 / sum(touches) over (),
            1.0,
            {{ drawn_after_touches_per_person() }}.0 / touches
        ) as moments_per_touch
    from entered

),

draws as (

    {% for draw in range(20) -%}
    select {{ draw }} as draw
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

person_moments as (

    -- Anywhere in the person's time, with equal chances. Draws that nobody can have are left out
    -- before anything is hashed.
    select
        people.person_key,
        people.person_key as drawn_key,
        draws.draw,
        {{ uniform_hash('time', ['draws.draw', 'people.person_key']) }}
        * people.days_at_risk as days_after,
        people.begins_at as starts_at
    from people
    inner join draws
        on
            people.moments_per_person > draws.draw
            and {{ uniform_hash('draw', ['draws.draw', 'people.person_key']) }}
            < people.moments_per_person - draws.draw

),

touch_rates as (

    select max(moments_per_touch) as moments_per_touch
    from people

),

crowded as (

    -- Few: the other touches are not joined to their persons.
    select
        people.person_key,
        people.moments_per_touch
    from people
    cross join touch_rates
    where people.moments_per_touch < touch_rates.moments_per_touch

),

touch_draws as (

    select
        touches.person_key,
        touches.touchpoint_key,
        {{ uniform_hash('time', ['touches.touchpoint_key']) }} as u_time,
        {{ uniform_hash('life', ['touches.touchpoint_key']) }} as u_life,
        touches.touched_at
    from touches
    cross join touch_rates
    left join crowded
        on touches.person_key = crowded.person_key
    where
        -- A quotient, so that no engine sorts all touches in order to compare them with one number.
        {{ uniform_hash('draw', ['touches.touchpoint_key']) }}
        / coalesce(crowded.moments_per_touch, touch_rates.moments_per_touch) < 1

),

touch_moments as (

    -- After a touch, as long as an effect may last.
    select
        person_key,
        touchpoint_key as drawn_key,
        -1 as draw,
        -ln(1.0 - u_time) * case
            {%- for decay in effect_decays %}
            when u_life < {{ loop.index }}.0 / {{ loop.length }} then {{ decay.days }}
            {%- endfor %}
        end as days_after,
        touched_at as starts_at
    from touch_draws

),

sampled as (

    select * from person_moments
    union all
    select * from touch_moments

),

moments as (

    select
        people.source,
        people.person_key,
        sampled.drawn_key,
        sampled.draw,
        people.moments_per_touch,
        least(people.moments_per_person, 20.0) / people.days_at_risk as moments_per_day,
        {{ days_later('sampled.starts_at', 'sampled.days_after') }} as happened_at,
        people.begins_at,
        people.ends_at
    from sampled
    inner join people
        on sampled.person_key = people.person_key

),

within_time as (

    select
        *,
        row_number() over (order by draw, drawn_key) as moment_number
    from moments
    where happened_at >= begins_at and happened_at < ends_at

),

last_conversions as (

    select
        within_time.moment_number,
        conversions.conversion_type,
        max(conversions.converted_at) as last_converted_at
    from within_time
    inner join conversions
        on
            within_time.person_key = conversions.person_key
            and within_time.happened_at > conversions.converted_at
    group by within_time.moment_number, conversions.conversion_type

),

at_risk as (

    select
        within_time.source,
        within_time.person_key,
        within_time.moment_number,
        within_time.happened_at,
        within_time.moments_per_day,
        within_time.moments_per_touch,
        conversion_types.conversion_type,
        last_conversions.last_converted_at is not null as is_repeat,
        greatest(
            {{ lookback_opening('within_time.happened_at') }},
            {{ scope_opening('last_conversions.last_converted_at') }}
        ) as window_opens_at
    from within_time
    inner join conversion_types
        on within_time.source = conversion_types.source
    left join last_conversions
        on
            within_time.moment_number = last_conversions.moment_number
            and conversion_types.conversion_type = last_conversions.conversion_type
    -- Where nobody converts twice, who has converted is no more at risk.
    where last_conversions.last_converted_at is null or conversion_types.is_repeated

),

final as (

    select
        source,
        conversion_type,
        person_key,
        happened_at,
        window_opens_at,
        is_repeat,
        moments_per_day,
        moments_per_touch,
        dense_rank() over (order by moment_number, window_opens_at) as point_key
    from at_risk

)

select * from final

-- grain: one row per conversion that the hazard model is fitted to and channel and ordinal present
-- at it, (baseline) among them. Of many conversions of one type a sample is kept; weight, on the
-- row of the baseline, says how many each stands for, and person_key whose it is. Heights (left_)
-- are additive over touches.
with journey_windows as (

    select * from {{ ref('int_journey_windows') }}
    where {{ is_computed('hazard') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

people as (

    select * from {{ ref('int_touched_persons') }}

),

at_risk as (

    -- A person is at risk from the first touch on.
    select
        journey_windows.source,
        journey_windows.conversion_id,
        journey_windows.conversion_key,
        journey_windows.person_key,
        journey_windows.conversion_type,
        journey_windows.previous_converted_at is not null as is_repeat,
        row_number() over (
            partition by journey_windows.conversion_type
            order by
                md5(concat(journey_windows.source, '/', journey_windows.conversion_id)),
                journey_windows.source,
                journey_windows.conversion_id
        ) as draw,
        count(*) over (partition by journey_windows.conversion_type) as conversions
    from journey_windows
    inner join people
        on
            journey_windows.person_key = people.person_key
            and journey_windows.converted_at
            {{ '>=' if include_touch_at_conversion() else '>' }} people.entered_at

),

sampled as (

    select
        *,
        greatest(conversions / {{ hazard_fitted_conversions() }}.0, 1.0) as weight
    from at_risk
    where draw <= {{ hazard_fitted_conversions() }}

),

touched as (

    select
        sampled.source,
        sampled.conversion_id,
        sampled.conversion_type,
        journey_touchpoints.channel,
        journey_touchpoints.ordinal,
        {{ days_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
            as age_days
    from sampled
    inner join journey_touchpoints
        on
            sampled.conversion_key = journey_touchpoints.conversion_key

),

faded as (

    select
        source,
        conversion_id,
        conversion_type,
        channel,
        ordinal,
        {%- for decay in hazard_decays() %}
        {{ exact_sum(faded('age_days', decay.days)) }} as left_{{ decay.days }},
        {%- endfor %}
        count(*) as touches
    from touched
    group by source, conversion_id, conversion_type, channel, ordinal

),

final as (

    select
        source,
        conversion_id as moment_id,
        conversion_type,
        channel,
        {%- for decay in hazard_decays() %}
        left_{{ decay.days }},
        {%- endfor %}
        cast(ordinal as integer) as ordinal,
        cast(null as double) as weight,
        cast(null as bigint) as person_key
    from faded
    union all
    select
        source,
        conversion_id as moment_id,
        conversion_type,
        '(baseline)' as channel,
        {%- for decay in hazard_decays() %}
        cast(null as double) as left_{{ decay.days }},
        {%- endfor %}
        case when is_repeat then 1 else 0 end as ordinal,
        cast(weight as double) as weight,
        person_key
    from sampled

)

select * from final

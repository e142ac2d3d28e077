-- grain: one row per conversion type, source and person_day_id: a conversion of a person at risk,
-- or an instant drawn from the time at risk. weight is additive: conversions, or person-days, that
-- the row stands for; the two do not add up with each other.
with draws as (

    select * from {{ ref('int_person_day_draws') }}

),

person_day_touches as (

    select * from {{ ref('int_person_day_touches') }}

),

levels as (

    -- The chance per day of being drawn after one of these touches, if every touch were drawn.
    select
        conversion_type,
        source,
        person_day_id,
        (
            {%- for days in person_day_scales() %}
            {{ '+ ' if not loop.first }}{{ exact_sum('level_' ~ days) }} / {{ days }}.0
            {%- endfor %}
        ) / {{ person_day_scales() | length }} as per_touch_and_day
    from person_day_touches
    group by conversion_type, source, person_day_id

),

final as (

    -- Whatever way an instant was drawn, it stands for 1 / (all chances per day of drawing it).
    select
        draws.conversion_type,
        draws.source,
        draws.person_day_id,
        draws.person_key,
        draws.is_conversion,
        draws.is_repeat,
        draws.revenue,
        draws.days_at_risk,
        cast(coalesce(
            draws.weight,
            1.0 / (draws.per_day + draws.per_touch * coalesce(levels.per_touch_and_day, 0.0))
        ) as double) as weight,
        draws.observed_at
    from draws
    left join levels
        on
            draws.conversion_type = levels.conversion_type
            and draws.source = levels.source
            and draws.person_day_id = levels.person_day_id

)

select * from final

-- grain: one row per conversion and touchpoint; one credit column per rule-based model. Each column
-- adds up to 1 per conversion; do not sum across columns.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
{%- set decay_weights = decay_weights() %}
{%- set position_shares = position_shares() %}
{%- set weighted_models = ['daily_share', 'time_decay'] + decay_weights.keys() | list %}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_of_changed_person() }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

-- What a position model gives to a touch follows from its number and the length of its journey
-- alone. What it gives to the touches at no place is shared by them equally.

places as (

    select distinct
        touch_number,
        journey_length
    from journey_touchpoints

),

placed as (

    select
        touch_number,
        {%- for model, rows in position_shares.items() %}
        {{ share_at_places(rows) }} as {{ model }}_placed,
        {%- endfor %}
        journey_length
    from places

),

place_weights as (

    select
        touch_number,
        {%- for model, rows in position_shares.items() %}
        case
            when {{ model }}_placed > 0 then {{ model }}_placed
            else {{ rows | selectattr('place', 'none') | sum(attribute='share') }} / nullif(
                sum(case when {{ model }}_placed > 0 then 0 else 1 end) over (
                    partition by journey_length
                ),
                0
            )
        end as {{ model }}_weight,
        {%- endfor %}
        journey_length
    from placed

),

place_credits as (

    select
        touch_number,
        {%- for model in position_shares %}
        {{ share_of_journey(model ~ '_weight', journey='journey_length') }} as {{ model }},
        {%- endfor %}
        journey_length
    from place_weights

),

grouped as (

    select
        journey_touchpoints.*,
        channels.is_paid,
        cast(journey_touchpoints.touched_at as date) as touch_date,
        channels.channel_group != 'Direct' as is_non_direct
    from journey_touchpoints
    inner join channels
        on journey_touchpoints.channel_key = channels.channel_key

),

journeys as (

    select
        conversion_key,
        max(touched_at) as last_touched_at,
        max(case when is_non_direct then touch_number end) as last_non_direct_touch_number,
        max(case when is_paid then touch_number end) as last_paid_touch_number
    from grouped
    group by conversion_key

),

days as (

    select
        conversion_key,
        touch_date,
        count(*) as touches_of_day
    from grouped
    group by conversion_key, touch_date

),

dated as (

    select
        grouped.conversion_key,
        grouped.touchpoint_key,
        grouped.person_key,
        grouped.channel_key,
        grouped.touch_date,
        grouped.touch_number,
        grouped.journey_length,
        days.touches_of_day,
        coalesce(journeys.last_non_direct_touch_number, grouped.journey_length)
            as last_non_direct_touch_number,
        coalesce(journeys.last_paid_touch_number, grouped.journey_length)
            as last_paid_touch_number,
        {{ days_between('grouped.touched_at', 'grouped.converted_at') }} as days_before_conversion,
        {{ days_between('grouped.touched_at', 'journeys.last_touched_at') }}
            as days_before_last_touch
    from grouped
    inner join journeys
        on grouped.conversion_key = journeys.conversion_key
    inner join days
        on
            grouped.conversion_key = days.conversion_key
            and grouped.touch_date = days.touch_date

),

weighted as (

    -- Time decay counts from the last touch and not from the conversion: the proportions are the
    -- same, and the last touch weighs 1, so that the sum cannot vanish however long the journey is.
    -- After 30 half-lives a billionth of that is left: nothing.
    select
        conversion_key,
        touchpoint_key,
        person_key,
        channel_key,
        touch_date,
        touch_number,
        journey_length,
        last_non_direct_touch_number,
        last_paid_touch_number,
        {%- for model, weight in decay_weights.items() %}
        {{ positive_and_finite(weight) }} as {{ model }}_weight,
        {%- endfor %}
        case
            when days_before_last_touch > 30 * cast({{ time_decay_half_life_days() }} as double)
                then 0.0
            else power(
                0.5, days_before_last_touch / cast({{ time_decay_half_life_days() }} as double)
            )
        end as time_decay_weight,
        1 / cast(touches_of_day as double) as daily_share_weight
    from dated

),

totals as (

    select
        conversion_key,
        {%- for model in weighted_models %}
        sum({{ model }}_weight) as {{ model }}_total
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from weighted
    group by conversion_key

),

final as (

    select
        weighted.conversion_key,
        weighted.touchpoint_key,
        weighted.person_key,
        weighted.channel_key,
        weighted.touch_date,
        cast(case when weighted.touch_number = 1 then 1 else 0 end as double) as first_touch,
        cast(case when weighted.touch_number = weighted.journey_length then 1 else 0 end as double)
            as last_touch,
        cast(
            case
                when weighted.touch_number = weighted.last_non_direct_touch_number then 1 else 0
            end as double
        ) as last_non_direct_touch,
        cast(
            case when weighted.touch_number = weighted.last_paid_touch_number then 1 else 0 end
            as double
        ) as last_paid_touch,
        {%- for model in weighted_models %}
        coalesce(
            weighted.{{ model }}_weight / nullif(totals.{{ model }}_total, 0),
            1 / cast(weighted.journey_length as double)
        ) as {{ model }},
        {%- endfor %}
        {%- for model in position_shares %}
        place_credits.{{ model }},
        {%- endfor %}
        1 / cast(weighted.journey_length as double) as linear
    from weighted
    inner join totals
        on weighted.conversion_key = totals.conversion_key
    inner join place_credits
        on
            weighted.touch_number = place_credits.touch_number
            and weighted.journey_length = place_credits.journey_length

)

select * from final

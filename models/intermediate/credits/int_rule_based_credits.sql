-- grain: one row per conversion and touchpoint; one credit column per rule-based model. Each column
-- adds up to 1 per conversion; do not sum across columns.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}
{%- set decay_weights = decay_weights() %}
{%- set position_shares = position_shares() %}
{%- set last_touched_at -%}
max(journey_touchpoints.touched_at) over (
            partition by journey_touchpoints.source, journey_touchpoints.conversion_id
        )
{%- endset %}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_of_changed_person() }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

placed as (

    select
        journey_touchpoints.source,
        journey_touchpoints.conversion_id,
        journey_touchpoints.touchpoint_id,
        journey_touchpoints.person_key,
        journey_touchpoints.touch_number,
        journey_touchpoints.journey_length,
        channels.channel_group != 'Direct' as is_non_direct,
        channels.is_paid,
        count(*) over (
            partition by
                journey_touchpoints.source,
                journey_touchpoints.conversion_id,
                cast(journey_touchpoints.touched_at as date)
        ) as touches_of_day,
        {{ hours_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
        / 24.0 as days_before_conversion,
        {{ hours_between('journey_touchpoints.touched_at', last_touched_at) }}
        / 24.0 as days_before_last_touch
    from journey_touchpoints
    inner join channels
        on journey_touchpoints.channel = channels.channel

),

weighted as (

    -- Time decay counts from the last touch and not from the conversion: the proportions are the
    -- same, and the last touch weighs 1, so that the sum cannot vanish however long the journey is.
    select
        source,
        conversion_id,
        touchpoint_id,
        person_key,
        touch_number,
        journey_length,
        touches_of_day,
        coalesce(
            max(case when is_non_direct then touch_number end) over (
                partition by source, conversion_id
            ),
            journey_length
        ) as last_non_direct_touch_number,
        coalesce(
            max(case when is_paid then touch_number end) over (partition by source, conversion_id),
            journey_length
        ) as last_paid_touch_number,
        {%- for model, weight in decay_weights.items() %}
        {{ positive_and_finite(weight) }} as {{ model }}_weight,
        {%- endfor %}
        {%- for model, rows in position_shares.items() %}
        {{ share_at_places(rows) }} as {{ model }}_placed,
        {%- endfor %}
        power(
            0.5, days_before_last_touch / cast({{ time_decay_half_life_days() }} as double)
        ) as time_decay_weight
    from placed

),

shared as (

    -- What a position model gives to the touches at no place is shared by them equally.
    select
        *,
        {%- for model, rows in position_shares.items() %}
        case
            when {{ model }}_placed > 0 then {{ model }}_placed
            else {{ rows | selectattr('place', 'none') | sum(attribute='share') }} / nullif(
                sum(case when {{ model }}_placed > 0 then 0 else 1 end) over (
                    partition by source, conversion_id
                ),
                0
            )
        end as {{ model }}_weight,
        {%- endfor %}
        1 / cast(touches_of_day as double) as daily_share_weight
    from weighted

),

final as (

    select
        source,
        conversion_id,
        touchpoint_id,
        person_key,
        cast(case when touch_number = 1 then 1 else 0 end as double) as first_touch,
        cast(case when touch_number = journey_length then 1 else 0 end as double) as last_touch,
        cast(
            case when touch_number = last_non_direct_touch_number then 1 else 0 end as double
        ) as last_non_direct_touch,
        cast(
            case when touch_number = last_paid_touch_number then 1 else 0 end as double
        ) as last_paid_touch,
        {%- for model in ['daily_share', 'time_decay'] + decay_weights.keys() | list
            + position_shares.keys() | list %}
        {{ share_of_journey(model ~ '_weight') }} as {{ model }},
        {%- endfor %}
        1 / cast(journey_length as double) as linear
    from shared

)

select * from final

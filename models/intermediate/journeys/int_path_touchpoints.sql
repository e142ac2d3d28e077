-- grain: one row per path and touchpoint. A path is a journey (path_id is its conversion) or an
-- open journey (path_id is its person); an open one ends with its last touch so far and moves as it
-- goes on.
{{ config(materialized='view') }}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

open_journey_touchpoints as (

    select * from {{ ref('int_open_journey_touchpoints') }}

),

final as (

    select
        source,
        conversion_type,
        true as is_converted,
        conversion_id as path_id,
        person_id,
        {{ person_group('source', 'person_id') }} as person_group,
        touch_number,
        channel,
        touched_at,
        converted_at as path_ended_at
    from journey_touchpoints
    union all
    select
        source,
        conversion_type,
        false as is_converted,
        person_id as path_id,
        person_id,
        {{ person_group('source', 'person_id') }} as person_group,
        touch_number,
        channel,
        touched_at,
        last_touched_at as path_ended_at
    from open_journey_touchpoints

)

select * from final

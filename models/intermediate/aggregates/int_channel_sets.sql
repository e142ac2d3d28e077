-- grain: one row per day of the path's end, conversion type and set of distinct channels touched
-- (a sorted list). conversions, revenue and open_journeys are additive. An open journey counts on
-- the day of its last touch so far and moves as it goes on.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

open_journey_touchpoints as (

    select * from {{ ref('int_open_journey_touchpoints') }}

),

converted_sets as (

    select
        source,
        conversion_id,
        {{ sorted_set('channel') }} as channel_set
    from journey_touchpoints
    group by source, conversion_id

),

open_sets as (

    select
        source,
        person_id,
        conversion_type,
        cast(max(last_touched_at) as date) as path_end_date,
        {{ sorted_set('channel') }} as channel_set
    from open_journey_touchpoints
    group by source, person_id, conversion_type

),

paths as (

    select
        cast(journey_windows.converted_at as date) as path_end_date,
        journey_windows.conversion_type,
        converted_sets.channel_set,
        1 as conversions,
        journey_windows.revenue,
        0 as open_journeys
    from converted_sets
    inner join journey_windows
        on
            converted_sets.source = journey_windows.source
            and converted_sets.conversion_id = journey_windows.conversion_id
    union all
    select
        path_end_date,
        conversion_type,
        channel_set,
        0 as conversions,
        0 as revenue,
        1 as open_journeys
    from open_sets

),

final as (

    select
        path_end_date,
        conversion_type,
        channel_set,
        cast(sum(conversions) as bigint) as conversions,
        cast(sum(revenue) as decimal(38, 10)) as revenue,
        cast(sum(open_journeys) as bigint) as open_journeys
    from paths
    group by path_end_date, conversion_type, channel_set

)

select * from final

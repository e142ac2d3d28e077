-- grain: one row per day of the path's end, conversion type, from-state and to-state. transitions
-- and revenue are additive; revenue is carried by the step into (conversion) alone. An open journey
-- counts on the day of its last touch so far and moves as it goes on.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

open_journey_touchpoints as (

    select * from {{ ref('int_open_journey_touchpoints') }}

),

converted_steps as (

    select
        cast(converted_at as date) as path_end_date,
        conversion_type,
        source,
        conversion_id,
        touch_number,
        channel as from_state,
        lead(channel, 1, '(conversion)') over (
            partition by source, conversion_id
            order by touch_number
        ) as to_state
    from journey_touchpoints

),

open_steps as (

    select
        cast(last_touched_at as date) as path_end_date,
        conversion_type,
        touch_number,
        channel as from_state,
        lead(channel, 1, '(null)') over (
            partition by source, person_id, conversion_type
            order by touch_number
        ) as to_state
    from open_journey_touchpoints

),

steps as (

    select
        converted_steps.path_end_date,
        converted_steps.conversion_type,
        converted_steps.from_state,
        converted_steps.to_state,
        case
            when converted_steps.to_state = '(conversion)' then journey_windows.revenue
            else 0
        end as revenue
    from converted_steps
    inner join journey_windows
        on
            converted_steps.source = journey_windows.source
            and converted_steps.conversion_id = journey_windows.conversion_id
    union all
    select
        path_end_date,
        conversion_type,
        '(start)' as from_state,
        from_state as to_state,
        0 as revenue
    from converted_steps
    where touch_number = 1
    union all
    select
        path_end_date,
        conversion_type,
        from_state,
        to_state,
        0 as revenue
    from open_steps
    union all
    select
        path_end_date,
        conversion_type,
        '(start)' as from_state,
        from_state as to_state,
        0 as revenue
    from open_steps
    where touch_number = 1

),

final as (

    select
        path_end_date,
        conversion_type,
        from_state,
        to_state,
        cast(count(*) as bigint) as transitions,
        cast(sum(revenue) as decimal(38, 10)) as revenue
    from steps
    group by path_end_date, conversion_type, from_state, to_state

)

select * from final

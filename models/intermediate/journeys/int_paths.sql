-- grain: one row per path: a journey (path_key is its conversion) or an open journey (path_key is
-- its person, once per conversion type). revenue is additive within one conversion type.
-- An open journey is what followed the person's last conversion of the type (everything, where
-- there is none), as known at the end of the reporting period. It ends with the last touch so far,
-- where its lookback window ends too, and moves as it goes on. After a conversion that happens only
-- once nothing is open.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_of_changed_person() }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}
    where {{ is_of_changed_person() }}

),

touches as (

    select * from {{ ref('int_touches') }}
    where {{ is_of_changed_person() }}

),

touched_persons as (

    select * from {{ ref('int_touched_persons') }}
    where {{ in_reporting_period('last_touched_at') }} and {{ is_of_changed_person() }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }} and {{ is_of_changed_person() }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

last_conversions as (

    select
        person_key,
        conversion_type,
        max(converted_at) as last_converted_at
    from conversions
    group by person_key, conversion_type

),

open_windows as (

    select
        touched_persons.person_key,
        conversion_types.conversion_type,
        {{ lookback_opening('touched_persons.last_touched_at') }} as opens_at,
        touched_persons.last_touched_at,
        last_conversions.last_converted_at
    from touched_persons
    inner join conversion_types
        on touched_persons.source = conversion_types.source
    left join last_conversions
        on
            touched_persons.person_key = last_conversions.person_key
            and conversion_types.conversion_type = last_conversions.conversion_type
    where last_conversions.last_converted_at is null or not conversion_types.is_once_only

),

path_touches as (

    select
        conversion_type,
        true as is_converted,
        conversion_key as path_key,
        person_key,
        touch_number as place,
        channel_key,
        touched_at,
        converted_at as path_ended_at
    from journey_touchpoints
    union all
    select
        open_windows.conversion_type,
        false as is_converted,
        open_windows.person_key as path_key,
        open_windows.person_key,
        touches.person_touch_number as place,
        touches.channel_key,
        touches.touched_at,
        open_windows.last_touched_at as path_ended_at
    from open_windows
    inner join touches
        on
            open_windows.person_key = touches.person_key
            and open_windows.opens_at <= touches.touched_at
    where
        open_windows.last_converted_at is null
        or touches.touched_at {{ '>' if include_touch_at_conversion() else '>=' }}
        open_windows.last_converted_at

),

listed as (

    select
        conversion_type,
        is_converted,
        path_key,
        person_key,
        case when is_converted then path_key end as conversion_key,
        {{ ordered_list_of_numbers('channel_key', 'place') }} as channel_keys,
        {{ days_between('min(touched_at)', 'max(path_ended_at)') }} as path_days,
        cast(max(path_ended_at) as date) as path_end_date
    from path_touches
    group by conversion_type, is_converted, path_key, person_key

),

final as (

    select
        listed.conversion_type,
        listed.is_converted,
        listed.path_key,
        listed.person_key,
        {{ person_group('listed.person_key') }} as person_group,
        listed.channel_keys,
        {{ sorted_set_of_list('listed.channel_keys') }} as channel_key_set,
        listed.path_days,
        coalesce(journey_windows.revenue, 0) as revenue,
        listed.path_end_date
    from listed
    left join journey_windows
        on listed.conversion_key = journey_windows.conversion_key

)

select * from final

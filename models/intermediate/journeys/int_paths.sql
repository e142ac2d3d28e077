-- grain: one row per path: a journey (path_id is its conversion) or an open journey (path_id is its
-- person, once per conversion type). revenue is additive within one conversion type.
{{ config(materialized='incremental', incremental_strategy='changed_persons') }}

with path_touchpoints as (

    select * from {{ ref('int_path_touchpoints') }}
    where {{ is_of_changed_person() }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

paths as (

    select
        source,
        conversion_type,
        is_converted,
        path_id,
        person_id,
        person_group,
        case when is_converted then path_id end as conversion_id,
        {{ ordered_list('channel', 'touch_number') }} as channels,
        {{ hours_between('min(touched_at)', 'max(path_ended_at)') }} / 24.0 as path_days,
        cast(max(path_ended_at) as date) as path_end_date
    from path_touchpoints
    group by source, conversion_type, is_converted, path_id, person_id, person_group

),

final as (

    select
        paths.source,
        paths.conversion_type,
        paths.is_converted,
        paths.path_id,
        paths.person_id,
        paths.person_group,
        paths.channels,
        {{ sorted_set_of_list('paths.channels') }} as channel_set,
        paths.path_days,
        coalesce(journey_windows.revenue, 0) as revenue,
        paths.path_end_date
    from paths
    left join journey_windows
        on
            paths.source = journey_windows.source
            and paths.conversion_id = journey_windows.conversion_id

)

select * from final

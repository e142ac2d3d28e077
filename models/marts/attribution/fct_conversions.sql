-- grain: one row per source and conversion of the reporting period. revenue and touchpoint_count
-- are additive, but a touchpoint that serves several conversions counts in each.
with journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

touchpoints as (

    -- Of all times: why a conversion has none does not depend on the period that is reported.
    select * from {{ ref('int_touchpoints') }}

),

touchpoint_counts as (

    select
        conversion_key,
        count(*) as touchpoint_count
    from journey_touchpoints
    group by conversion_key

),

unattributed as (

    select
        journey_windows.conversion_key,
        journey_windows.person_key
    from journey_windows
    left join touchpoint_counts
        on journey_windows.conversion_key = touchpoint_counts.conversion_key
    where touchpoint_counts.conversion_key is null

),

first_touches as (

    select
        unattributed.conversion_key,
        min(touchpoints.touched_at) as first_touched_at
    from touchpoints
    inner join unattributed
        on touchpoints.person_key = unattributed.person_key
    group by unattributed.conversion_key

),

final as (

    select
        journey_windows.conversion_id,
        journey_windows.source,
        journey_windows.person_id,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        journey_windows.converted_at,
        journey_windows.revenue,
        coalesce(touchpoint_counts.touchpoint_count, 0) as touchpoint_count,
        touchpoint_counts.touchpoint_count is not null as is_attributed,
        case
            when touchpoint_counts.touchpoint_count is not null then null
            when first_touches.first_touched_at is null then 'never_touched'
            when first_touches.first_touched_at >= journey_windows.converted_at
                then 'touched_afterwards'
            else 'before_window'
        end as unattributed_reason
    from journey_windows
    left join touchpoint_counts
        on journey_windows.conversion_key = touchpoint_counts.conversion_key
    left join first_touches
        on journey_windows.conversion_key = first_touches.conversion_key

)

select * from final

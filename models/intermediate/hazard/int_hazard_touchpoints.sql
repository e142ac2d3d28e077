-- grain: one row per touchpoint that happened by the end of the reporting period. ordinal says how
-- often the channel has touched the person so far: 1, 2, or 3 for the third time and later.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ until_reporting_end('touched_at') }}

),

final as (

    select
        source,
        touchpoint_id,
        person_id,
        channel,
        touched_at,
        cast(least(
            row_number() over (
                partition by source, person_id, channel
                order by touched_at, touchpoint_id
            ),
            3
        ) as tinyint) as ordinal
    from touchpoints

)

select * from final

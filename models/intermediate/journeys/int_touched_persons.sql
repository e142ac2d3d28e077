-- grain: one row per person with a touch by the end of the reporting period. touches is additive.
-- A person_key stands for a source, too.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ until_reporting_end('touched_at') }}

),

final as (

    select
        cast(min(source) as varchar) as source,
        person_key,
        min(touched_at) as entered_at,
        max(touched_at) as last_touched_at,
        count(*) as touches
    from touchpoints
    group by person_key

)

select * from final

-- grain: one row per source: the time that is observed, from opens_at (null: the first touch) until
-- ends_at.
with touched_persons as (

    select * from {{ ref('int_touched_persons') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

last_days as (

    select
        source,
        cast(max(last_touched_at) as date) as last_date
    from touched_persons
    group by source
    union all
    select
        source,
        cast(max(converted_at) as date) as last_date
    from conversions
    group by source

),

final as (

    -- Nothing is known of the time after the day of the source's last event.
    select
        source,
        max(last_date) as last_date,
        cast(max(last_date) + 1 as timestamp) as ends_at,
        cast({{ "'" ~ start_date() ~ "'" if start_date() else 'null' }} as timestamp) as opens_at
    from last_days
    group by source

)

select * from final

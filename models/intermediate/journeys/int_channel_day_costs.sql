-- grain: one row per source, channel and day that has touchpoints, and spend that names none of
-- them: they share it equally. cost is of each of them, and not additive.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}
    where touchpoint_id is null

),

daily_spend as (

    select
        source,
        channel,
        spend_date,
        sum(spend) as spend
    from spend_rows
    group by source, channel, spend_date

),

counted as (

    select
        source,
        channel,
        cast(touched_at as date) as touch_date,
        count(*) as touchpoints
    from touchpoints
    group by source, channel, cast(touched_at as date)

),

final as (

    select
        counted.channel,
        counted.touch_date,
        cast(counted.source as varchar) as source,
        cast(daily_spend.spend as double) / counted.touchpoints as cost
    from counted
    inner join daily_spend
        on
            counted.source = daily_spend.source
            and counted.channel = daily_spend.channel
            and counted.touch_date = daily_spend.spend_date

)

select * from final

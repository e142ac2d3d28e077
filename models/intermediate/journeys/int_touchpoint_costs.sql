-- grain: one row per source and touchpoint that spend falls to. cost is additive: over touchpoints
-- it adds up to the spend that names one of them and the spend of the channel-days that have any.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}

),

named_spend as (

    select
        source,
        touchpoint_id,
        sum(spend) as spend
    from spend_rows
    where touchpoint_id is not null
    group by source, touchpoint_id

),

daily_spend as (

    select
        source,
        channel,
        spend_date,
        sum(spend) as spend
    from spend_rows
    where touchpoint_id is null
    group by source, channel, spend_date

),

counted as (

    select
        source,
        touchpoint_id,
        channel,
        cast(touched_at as date) as touch_date,
        count(*) over (
            partition by source, channel, cast(touched_at as date)
        ) as touchpoints_of_day
    from touchpoints

),

final as (

    select
        counted.source,
        counted.touchpoint_id,
        cast(
            coalesce(named_spend.spend, 0)
            + cast(coalesce(daily_spend.spend, 0) as double) / counted.touchpoints_of_day
            as double
        ) as cost
    from counted
    left join named_spend
        on
            counted.source = named_spend.source
            and counted.touchpoint_id = named_spend.touchpoint_id
    left join daily_spend
        on
            counted.source = daily_spend.source
            and counted.channel = daily_spend.channel
            and counted.touch_date = daily_spend.spend_date
    where named_spend.spend is not null or daily_spend.spend is not null

)

select * from final

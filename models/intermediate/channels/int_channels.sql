-- grain: one row per channel that has touchpoints or spend.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}

),

channel_groups as (

    select * from {{ ref('channel_groups') }}

),

seen as (

    select
        channel,
        0 as spend
    from touchpoints
    union all
    select
        channel,
        spend
    from spend_rows

),

aggregated as (

    select
        channel,
        sum(spend) as spend
    from seen
    group by channel

),

final as (

    select
        aggregated.channel,
        coalesce(channel_groups.channel_group, '(ungrouped)') as channel_group,
        coalesce(channel_groups.is_paid, aggregated.spend > 0) as is_paid
    from aggregated
    left join channel_groups
        on lower(aggregated.channel) = lower(trim(channel_groups.channel))

)

select * from final

-- grain: one row per channel that has touchpoints or spend. channel_key numbers them in the order
-- of their names: tables that grow with traffic carry it in place of the name.
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
        cast(row_number() over (order by aggregated.channel) as integer) as channel_key,
        coalesce(channel_groups.channel_group, '(ungrouped)') as channel_group,
        coalesce(channel_groups.is_paid, aggregated.spend > 0) as is_paid
    from aggregated
    left join channel_groups
        on lower(aggregated.channel) = lower(trim(channel_groups.channel))

)

select * from final

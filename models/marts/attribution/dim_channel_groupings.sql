-- grain: one row per grouping and channel of dim_channels.
with channels as (

    select * from {{ ref('dim_channels') }}

),

channel_groupings as (

    select * from {{ ref('channel_groupings') }}

),

further_groupings as (

    select distinct trim(channel_groupings.grouping) as grouping
    from channel_groupings

),

final as (

    select
        'standard' as grouping,
        channel,
        channel_group
    from channels
    union all
    select
        further_groupings.grouping,
        channels.channel,
        case
            when channels.channel in ('(baseline)', '(unattributed)') then channels.channel
            else coalesce(trim(channel_groupings.channel_group), '(ungrouped)')
        end as channel_group
    from channels
    cross join further_groupings
    left join channel_groupings
        on
            further_groupings.grouping = trim(channel_groupings.grouping)
            and lower(channels.channel) = lower(trim(channel_groupings.channel))

)

select * from final

-- grain: one row per channel that has touchpoints or spend, and one for what no channel earned.
with channels as (

    select * from {{ ref('int_channels') }}

),

final as (

    select
        channel,
        channel_group,
        is_paid
    from channels
    union all
    select
        '(unattributed)' as channel,
        '(unattributed)' as channel_group,
        false as is_paid

)

select * from final

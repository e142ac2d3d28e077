-- grain: one row per channel that has touchpoints or spend, one for what would have happened
-- without any touch, and one for what has no touch.
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
        '(baseline)' as channel,
        '(baseline)' as channel_group,
        false as is_paid
    union all
    select
        '(unattributed)' as channel,
        '(unattributed)' as channel_group,
        false as is_paid

)

select * from final

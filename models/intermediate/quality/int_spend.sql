-- grain: one row per usable spend row. spend is additive.
with checked as (

    select * from {{ ref('int_spend_checked') }}

),

final as (

    select
        source,
        spend_date,
        campaign,
        account,
        touchpoint_id,
        spend,
        coalesce(channel, '(unknown)') as channel
    from checked
    where rejection_reason is null

)

select * from final

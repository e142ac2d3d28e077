-- grain: one row per delivered spend row; rejection_reason is null where it can be used.
{{ config(materialized='view') }}

with spend_rows as (

    {{ with_reported_amount('int_spend_unioned', 'spend', 'spend_date') }}

),

final as (

    select
        source,
        spend_id,
        spend_date,
        channel,
        campaign,
        account,
        touchpoint_id,
        reported_spend as spend,
        reported_currency as currency,
        original_spend,
        original_currency,
        raw_row,
        loaded_at,
        loaded_from,
        case
            when spend_date is null and channel is null and touchpoint_id is not null
                then 'unknown_touchpoint'
            when spend_date is null and channel is null then 'missing_id'
            when spend_date is null then 'unreadable_time'
            when not ({{ is_plausible_time('spend_date') }}) then 'implausible_time'
            when {{ is_in_the_future('spend_date') }} then 'future_time'
            when channel in {{ reserved_channels() }} then 'reserved_channel'
            when original_spend is null then 'unreadable_amount'
            when is_implausible_amount then 'implausible_amount'
        end as rejection_reason
    from spend_rows

)

select * from final

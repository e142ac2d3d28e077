-- grain: one row per delivered revenue row; rejection_reason is null where it can be used.
{{ config(materialized='view') }}

with revenue_rows as (

    {{ with_reported_amount('int_revenue_unioned', 'net', 'service_date') }}

),

final as (

    select
        source,
        revenue_id,
        customer_id,
        service_date,
        reported_net as net,
        revenue_center,
        reported_currency as currency,
        original_net,
        original_currency,
        raw_row,
        loaded_at,
        loaded_from,
        case
            {{ privacy_reasons('revenue', 'service_date') }}
            when customer_id is null then 'missing_person'
            when service_date is null then 'unreadable_time'
            when not ({{ is_plausible_time('service_date') }}) then 'implausible_time'
            when {{ is_in_the_future('service_date') }} then 'future_time'
            when original_net is null then 'unreadable_amount'
            when is_implausible_amount then 'implausible_amount'
        end as rejection_reason
    from revenue_rows

)

select * from final

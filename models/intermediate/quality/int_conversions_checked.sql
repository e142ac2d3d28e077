-- grain: one row per delivered conversion row; rejection_reason is null where it can be used.
{{ config(materialized='view') }}

with conversions as (

    {{ with_reported_amount('int_conversions_unioned', 'revenue', 'converted_at') }}

),

final as (

    select
        source,
        conversion_id,
        user_id,
        conversion_type,
        converted_at,
        reported_revenue as revenue,
        reported_currency as currency,
        original_revenue,
        original_currency,
        raw_row,
        loaded_at,
        loaded_from,
        case
            {{ privacy_reasons('conversions', 'converted_at') }}
            when conversion_id is null then 'missing_id'
            when user_id is null then 'missing_person'
            when converted_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('converted_at') }}) then 'implausible_time'
            when {{ is_in_the_future('converted_at') }} then 'future_time'
            when original_revenue is null then 'unreadable_amount'
            when is_implausible_amount then 'implausible_amount'
        end as rejection_reason
    from conversions

)

select * from final

-- grain: one row per delivered appointment row; rejection_reason is null where it can be used.
{{ config(materialized='view') }}

with appointments as (

    select * from {{ ref('int_appointments_unioned') }}

),

final as (

    select
        source,
        appointment_id,
        customer_id,
        booked_at,
        attended_at,
        status,
        raw_row,
        loaded_at,
        loaded_from,
        case
            {{ privacy_reasons('appointments', 'booked_at') }}
            when customer_id is null then 'missing_person'
            when booked_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('booked_at') }}) then 'implausible_time'
            when {{ is_in_the_future('booked_at') }} then 'future_time'
        end as rejection_reason
    from appointments

)

select * from final

-- grain: one row per delivered customer row; rejection_reason is null where it can be used.
{{ config(materialized='view', schema='restricted') }}

with customers as (

    select * from {{ ref('int_customers_unioned') }}

),

final as (

    select
        source,
        customer_id,
        -- A customer is one whenever the record was made: a wrong time is left out, not the row,
        -- and so is one beyond retention.
        case
            when
                {{ is_plausible_time('created_at') }}
                and not ({{ is_in_the_future('created_at') }})
                {{ 'and not (' ~ is_beyond_retention('created_at') ~ ')' if retention_days() }}
                then created_at
        end as created_at,
        referral_source_id,
        first_name,
        last_name,
        birth_date,
        city,
        phones,
        emails,
        raw_row,
        loaded_at,
        loaded_from,
        {{ traffic('referral', ['referral_source_id']) }} as traffic,
        case
            {{ privacy_reasons('customers') }}
            when customer_id is null then 'missing_id'
        end as rejection_reason
    from customers

)

select * from final

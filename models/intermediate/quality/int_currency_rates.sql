-- grain: one row per currency and the day from which a rate holds, until the day before the next.
{{ config(materialized='view') }}

with currency_rates as (

    select * from {{ ref('currency_rates') }}

),

final as (

    select
        rate,
        valid_from,
        upper(trim(currency)) as currency,
        lead(valid_from) over (
            partition by upper(trim(currency))
            order by valid_from
        ) as valid_until
    from currency_rates

)

select * from final

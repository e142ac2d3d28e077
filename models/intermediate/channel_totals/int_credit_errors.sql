-- grain: one row per attribution model whose totals are the sums of its credits and which estimates
-- something, conversion type and channel touched. Not additive.
{{ config(materialized='view') }}

with hazard as (

    select * from {{ ref('hazard') }}

),

survival_coefficients as (

    select * from {{ ref('int_survival_coefficients') }}

),

final as (

    select
        'hazard_without_baseline' as attribution_model,
        conversion_type,
        name as channel,
        std_error,
        high - value as reach
    from hazard
    where kind = 'channel_total_without_baseline'
    union all
    select
        'survival' as attribution_model,
        conversion_type,
        channel,
        conversions_std_error as std_error,
        1.96 * conversions_std_error as reach
    from survival_coefficients

)

select * from final

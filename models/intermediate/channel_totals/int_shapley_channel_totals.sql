-- grain: one row per conversion type and channel touched. conversions and revenue are additive and
-- add up to the attributed conversions and their revenue.
with shapley as (

    select * from {{ ref('shapley') }}

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(conversions as double) as conversions,
        cast(revenue as double) as revenue
    from shapley

)

select * from final

-- grain: one row per conversion type and channel touched. conversions and revenue are additive and
-- add up to the attributed conversions and their revenue; removal effects are not additive.
with markov as (

    select * from {{ ref('markov') }}

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(removal_effect as double) as removal_effect,
        cast(removal_effect_revenue as double) as removal_effect_revenue,
        cast(conversions as double) as conversions,
        cast(revenue as double) as revenue
    from markov

)

select * from final

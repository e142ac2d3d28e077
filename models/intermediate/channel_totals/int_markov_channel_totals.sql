-- grain: one row per conversion type and channel touched. conversions and revenue are additive and
-- add up to the attributed conversions and their revenue; removal effects and errors are not
-- additive.
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
        cast(revenue as double) as revenue,
        cast(conversions_std_error as double) as conversions_std_error,
        cast(conversions_low as double) as conversions_low,
        cast(conversions_high as double) as conversions_high
    from markov

)

select * from final

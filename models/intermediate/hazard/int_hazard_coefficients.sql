-- grain: one row per conversion type, channel, ordinal and decay. Not additive.
with results as (

    select * from {{ ref('hazard') }}
    where kind = 'coefficient'

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(name as varchar) as channel,
        cast(ordinal as integer) as ordinal,
        cast(decay_days as double) as decay_days,
        cast(is_baseline as boolean) as is_baseline,
        cast(value as double) as coefficient
    from results

)

select * from final

-- grain: one row per conversion type and channel. Not additive.
with results as (

    select * from {{ ref('survival') }}

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(beta as double) as beta,
        cast(omega as double) as omega,
        cast(is_at_bound as boolean) as is_at_bound,
        cast(std_error as double) as conversions_std_error,
        cast(log_likelihood as double) as log_likelihood,
        cast(steps as integer) as steps
    from results

)

select * from final

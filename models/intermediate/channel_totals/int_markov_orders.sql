-- grain: one row per conversion type and order of the Markov chain. Nothing is additive.
with markov_orders as (

    select * from {{ ref('markov_orders') }}

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(markov_order as integer) as markov_order,
        cast(states as bigint) as states,
        cast(transitions as bigint) as transitions,
        cast(held_out_log_likelihood as double) as held_out_log_likelihood,
        cast(held_out_log_likelihood_per_step as double) as held_out_log_likelihood_per_step,
        cast(is_used as boolean) as is_used,
        cast(method as varchar) as method,
        cast(iterations as bigint) as iterations,
        cast(conversion_probability as double) as conversion_probability
    from markov_orders

)

select * from final

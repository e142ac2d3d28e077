-- grain: one row per conversion type, order of the chain, from-states and to-state. transitions are
-- additive within one order; probability is not additive.
with training_transitions as (

    select * from {{ ref('int_training_transitions') }}

),

markov_orders as (

    select * from {{ ref('int_markov_orders') }}

),

shortened as (

    -- A chain of order k remembers the last k states.
    select
        markov_orders.conversion_type,
        markov_orders.markov_order,
        markov_orders.is_used,
        training_transitions.to_state,
        training_transitions.transitions,
        {{ last_of_list('training_transitions.from_states', 'markov_orders.markov_order') }}
            as from_states
    from training_transitions
    inner join markov_orders
        on training_transitions.conversion_type = markov_orders.conversion_type

),

counted as (

    select
        conversion_type,
        markov_order,
        is_used,
        from_states,
        to_state,
        cast(sum(transitions) as bigint) as transitions
    from shortened
    group by conversion_type, markov_order, is_used, from_states, to_state

),

final as (

    select
        conversion_type,
        markov_order,
        {{ displayed_list('from_states') }} as from_state,
        to_state,
        from_states,
        is_used,
        transitions,
        transitions / cast(
            sum(transitions) over (partition by conversion_type, markov_order, from_states)
            as double
        ) as probability
    from counted

)

select * from final

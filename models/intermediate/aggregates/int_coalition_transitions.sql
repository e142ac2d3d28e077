-- grain: one row per conversion type, person group, from-state and to-state: the transitions of the
-- training window as the game of the Markov chain sees them, which remembers one state.
-- transitions and revenue are additive.
{{ config(materialized='view') }}

with transition_counts as (

    select * from {{ ref('int_transition_counts') }}
    where {{ is_computed('markov_shapley') }}

),

final as (

    select
        conversion_type,
        person_group,
        {{ last_of_list('from_states', 1) }} as from_states,
        to_state,
        cast(sum(transitions) as bigint) as transitions,
        cast(sum(revenue) as decimal(38, 10)) as revenue
    from transition_counts
    group by conversion_type, person_group, {{ last_of_list('from_states', 1) }}, to_state

)

select * from final

-- grain: one row per conversion type, person group, from-states and to-state: the transitions that
-- the model markov learns from. transitions and revenue are additive.
{{ config(materialized='view') }}

with transition_counts as (

    select * from {{ ref('int_transition_counts') }}
    where {{ is_computed('markov') }}

),

final as (

    select
        conversion_type,
        person_group,
        from_states,
        to_state,
        transitions,
        revenue
    from transition_counts

)

select * from final

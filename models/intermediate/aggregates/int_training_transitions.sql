-- grain: one row per conversion type, person group, from-states and to-state: the transitions of
-- the training window, which is the reporting period. transitions and revenue are additive.
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
        cast(sum(transitions) as bigint) as transitions,
        cast(sum(revenue) as decimal(38, 10)) as revenue
    from transition_counts
    group by conversion_type, person_group, from_states, to_state

)

select * from final

-- grain: one row per source and entity (user, customer, call or form) of a simulation: whose it is.
-- No rows for real data, which have no truth. For judging the matches only: no match reads it.
with final as (

    {% if is_source_enabled('demo') %}
    select
        source,
        entity,
        entity_key,
        true_person,
        is_matchable
    from {{ ref('stg_demo__identity_truth') }}
    {% else %}
    select
        cast(null as varchar) as source,
        cast(null as varchar) as entity,
        cast(null as varchar) as entity_key,
        cast(null as varchar) as true_person,
        cast(null as boolean) as is_matchable
    where false
    {% endif %}

)

select * from final

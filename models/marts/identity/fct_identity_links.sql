-- grain: one row per source and entity (user, customer, call or form) of the identity graph: the
-- person it belongs to, and by what. confidence is not additive.
with entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

final as (

    select
        source,
        person_id,
        entity,
        entity_key,
        rule,
        confidence,
        evidence,
        distance,
        steps,
        is_conflict,
        first_seen_at
    from entity_persons

)

select * from final

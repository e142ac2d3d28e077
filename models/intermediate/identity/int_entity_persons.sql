-- grain: one row per source and entity of the identity graph (user, customer, call or form); its
-- person. What is not here, a cookie that nothing is tied to, is a person of its own.
with nodes as (

    select * from {{ ref('int_identity_nodes') }}

),

resolved as (

    select * from {{ ref('int_resolved_identities') }}

),

final as (

    select
        nodes.source,
        nodes.entity,
        nodes.entity_key,
        case
            when persons.entity = 'user' then {{ own_person_id('user', 'persons.entity_key') }}
            else concat(persons.entity, ':', persons.entity_key)
        end as person_id,
        resolved.rule,
        case
            when via.entity is null then null
            when via.entity = 'user' then concat('cookie ', via.entity_key)
            when via.entity in ('phone', 'email')
                then concat(via.entity, ' ', left(via.entity_key, 8))
            else concat(via.entity, ' ', via.entity_key)
        end as evidence,
        resolved.confidence,
        resolved.distance,
        resolved.steps,
        resolved.is_conflict,
        nodes.first_seen_at
    from nodes
    inner join resolved
        on nodes.node = resolved.node
    inner join nodes as persons
        on resolved.person_node = persons.node
    left join nodes as via
        on resolved.via_node = via.node
    where nodes.entity not in ('phone', 'email')

)

select * from final

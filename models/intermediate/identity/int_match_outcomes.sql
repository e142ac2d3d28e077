-- grain: one row per source and call, form or cookie of the identity graph: by what it was matched
-- to a customer, or why not. Where there is a truth, whether that is right.
with entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

ties as (

    select * from {{ ref('int_identity_ties') }}

),

hubs as (

    select * from {{ ref('int_identity_hubs') }}

),

contacts as (

    select * from {{ ref('int_entity_contacts') }}

),

nodes as (

    select * from {{ ref('int_identity_nodes') }}

),

resolved as (

    select * from {{ ref('int_resolved_identities') }}
    where is_conflict

),

truth as (

    select * from {{ ref('int_identity_truth') }}

),

interactions as (

    select * from entity_persons
    where entity in ('call', 'form', 'user')

),

customers as (

    -- Matched rightly is matched to a person all of whose customers are the right one.
    select
        entity_persons.source,
        entity_persons.person_id,
        min(truth.true_person) as first_true_person,
        max(truth.true_person) as last_true_person
    from entity_persons
    left join truth
        on
            entity_persons.source = truth.source
            and entity_persons.entity = truth.entity
            and entity_persons.entity_key = truth.entity_key
    where entity_persons.entity = 'customer'
    group by entity_persons.source, entity_persons.person_id

),

conflicts as (

    select
        nodes.source,
        nodes.entity,
        nodes.entity_key
    from nodes
    inner join resolved
        on nodes.node = resolved.node

),

neighbours as (

    select
        source,
        left_entity as entity,
        left_key as entity_key,
        right_entity as neighbour,
        right_key as neighbour_key
    from ties
    union all
    select
        source,
        right_entity as entity,
        right_key as entity_key,
        left_entity as neighbour,
        left_key as neighbour_key
    from ties
    where right_entity = 'user'
    union all
    -- A hub is its own neighbour, so that a cookie that is one is told apart.
    select
        source,
        entity,
        entity_key,
        entity as neighbour,
        entity_key as neighbour_key
    from hubs

),

surroundings as (

    select
        neighbours.source,
        neighbours.entity,
        neighbours.entity_key,
        count(conflicts.entity_key) as conflicts,
        count(hubs.entity_key) as hubs,
        count(case when neighbours.neighbour in ('phone', 'email') then 1 end) as contacts
    from neighbours
    left join conflicts
        on
            neighbours.source = conflicts.source
            and neighbours.neighbour = conflicts.entity
            and neighbours.neighbour_key = conflicts.entity_key
    left join hubs
        on
            neighbours.source = hubs.source
            and neighbours.neighbour = hubs.entity
            and neighbours.neighbour_key = hubs.entity_key
    group by neighbours.source, neighbours.entity, neighbours.entity_key

),

rejections as (

    select
        source,
        entity,
        entity_key,
        min(rejection_reason) as rejection_reason
    from contacts
    where rejection_reason is not null
    group by source, entity, entity_key

),

final as (

    select
        interactions.source,
        interactions.entity,
        interactions.entity_key,
        interactions.person_id,
        truth.is_matchable,
        customers.person_id is not null as is_matched,
        case
            when customers.person_id is not null then interactions.rule
            when interactions.is_conflict or surroundings.conflicts > 0 then 'conflict'
            when surroundings.hubs > 0 then 'hub'
            when surroundings.contacts > 0 or interactions.entity = 'user' then 'no_customer_has_it'
            else coalesce(rejections.rejection_reason, 'no_contact')
        end as outcome,
        case
            when truth.true_person is null then null
            else coalesce(
                truth.true_person = customers.first_true_person
                and truth.true_person = customers.last_true_person,
                false
            )
        end as is_right
    from interactions
    left join customers
        on
            interactions.source = customers.source
            and interactions.person_id = customers.person_id
            and not interactions.is_conflict
    left join surroundings
        on
            interactions.source = surroundings.source
            and interactions.entity = surroundings.entity
            and interactions.entity_key = surroundings.entity_key
    left join rejections
        on
            interactions.source = rejections.source
            and interactions.entity = rejections.entity
            and interactions.entity_key = rejections.entity_key
    left join truth
        on
            interactions.source = truth.source
            and interactions.entity = truth.entity
            and interactions.entity_key = truth.entity_key

)

select * from final

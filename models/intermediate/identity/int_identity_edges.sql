-- grain: one row per pair of nodes of the identity graph and rule that ties them. Hubs are tied to
-- nothing.
with ties as (

    select * from {{ ref('int_identity_ties') }}

),

nodes as (

    select * from {{ ref('int_identity_nodes') }}

),

hubs as (

    select * from {{ ref('int_identity_hubs') }}

),

identity_rules as (

    select * from {{ ref('identity_rules') }}

),

linking_nodes as (

    select nodes.*
    from nodes
    left join hubs
        on
            nodes.source = hubs.source
            and nodes.entity = hubs.entity
            and nodes.entity_key = hubs.entity_key
    where hubs.entity_key is null

),

final as (

    select
        left_nodes.node as left_node,
        right_nodes.node as right_node,
        ties.rule,
        identity_rules.distance
    from ties
    inner join linking_nodes as left_nodes
        on
            ties.source = left_nodes.source
            and ties.left_entity = left_nodes.entity
            and ties.left_key = left_nodes.entity_key
    inner join linking_nodes as right_nodes
        on
            ties.source = right_nodes.source
            and ties.right_entity = right_nodes.entity
            and ties.right_key = right_nodes.entity_key
    inner join identity_rules
        on ties.rule = identity_rules.rule

)

select * from final

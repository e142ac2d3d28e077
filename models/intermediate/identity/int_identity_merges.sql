-- grain: one row per pair of customer nodes that are one person and rule that says so.
with same_customers as (

    select * from {{ ref('int_same_customers') }}

),

nodes as (

    select * from {{ ref('int_identity_nodes') }}
    where is_customer

),

final as (

    select
        left_nodes.node as left_node,
        right_nodes.node as right_node,
        same_customers.rule
    from same_customers
    inner join nodes as left_nodes
        on
            same_customers.source = left_nodes.source
            and same_customers.left_customer_id = left_nodes.entity_key
    inner join nodes as right_nodes
        on
            same_customers.source = right_nodes.source
            and same_customers.right_customer_id = right_nodes.entity_key

)

select * from final

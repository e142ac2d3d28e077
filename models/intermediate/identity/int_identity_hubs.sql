-- grain: one row per source and contact or cookie of more customers than one person can explain.
-- Customers of one first name count once: the same person is often on file twice.
with ties as (

    select * from {{ ref('int_identity_ties') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

ties_to_customers as (

    select
        source,
        right_entity as entity,
        right_key as entity_key,
        left_key as customer_id
    from ties
    where left_entity = 'customer'
    union all
    select
        source,
        left_entity as entity,
        left_key as entity_key,
        right_key as customer_id
    from ties
    where left_entity = 'user' and right_entity = 'customer'

),

hubs as (

    select
        ties_to_customers.source,
        ties_to_customers.entity,
        ties_to_customers.entity_key,
        count(*) as customers,
        count(distinct case
            when customers.first_name is null then concat('id ', ties_to_customers.customer_id)
            else concat('name ', lower(customers.first_name))
        end) as customer_names
    from ties_to_customers
    left join customers
        on
            ties_to_customers.source = customers.source
            and ties_to_customers.customer_id = customers.customer_id
    group by ties_to_customers.source, ties_to_customers.entity, ties_to_customers.entity_key
    having customer_names > {{ identity_max_customers_per_contact() }}

),

final as (

    select
        hubs.source,
        hubs.entity,
        hubs.entity_key,
        hubs.customers,
        count(ties.left_key) as interactions
    from hubs
    left join ties
        on
            hubs.source = ties.source
            and hubs.entity = ties.right_entity
            and hubs.entity_key = ties.right_key
            and ties.left_entity in ('call', 'form')
    group by hubs.source, hubs.entity, hubs.entity_key, hubs.customers

)

select * from final

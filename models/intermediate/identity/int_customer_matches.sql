-- grain: one row per pair of customers of one source that are probably one person and have the same
-- first name: without it, members of a family would be joined. Empty unless probabilistic_matching.
{{ config(schema='restricted') }}

with matches as (

    select * from {{ ref('customer_matches') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

final as (

    select
        cast(matches.source as varchar) as source,
        cast(matches.left_customer_id as varchar) as left_customer_id,
        cast(matches.right_customer_id as varchar) as right_customer_id,
        cast(matches.probability as double) as probability
    from matches
    inner join customers as left_customers
        on
            matches.source = left_customers.source
            and matches.left_customer_id = left_customers.customer_id
    inner join customers as right_customers
        on
            matches.source = right_customers.source
            and matches.right_customer_id = right_customers.customer_id
    where lower(left_customers.first_name) = lower(right_customers.first_name)

)

select * from final

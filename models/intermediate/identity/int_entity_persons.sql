-- grain: one row per source and entity (user, customer, call or form) that is tied to another; its
-- person. What is not here is a person of its own.
with final as (

    select
        cast(null as varchar) as source,
        cast(null as varchar) as entity,
        cast(null as varchar) as entity_key,
        cast(null as varchar) as person_id
    where false

)

select * from final

-- grain: one row per node of the identity graph: the person it belongs to.
with resolved as (

    select * from {{ ref('identity_resolution') }}

),

final as (

    select
        cast(node as bigint) as node,
        cast(person_node as bigint) as person_node,
        cast(via_node as bigint) as via_node,
        cast(rule as varchar) as rule,
        cast(distance as bigint) as distance,
        cast(steps as bigint) as steps,
        cast(confidence as double) as confidence,
        cast(is_conflict as boolean) as is_conflict
    from resolved

)

select * from final

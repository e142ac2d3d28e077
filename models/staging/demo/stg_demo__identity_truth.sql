-- grain: one row per row of the identity_truth input; nothing is dropped.
{{ config(enabled=is_source_enabled('demo')) }}

with identity_truth as (

    select * from {{ source('demo', 'identity_truth') }}

),

final as (

    select
        'demo' as source,
        {{ to_text('entity') }} as entity,
        {{ to_text('entity_key') }} as entity_key,
        {{ to_text('true_person') }} as true_person,
        {{ to_flag('is_matchable') }} as is_matchable
    from identity_truth

)

select * from final

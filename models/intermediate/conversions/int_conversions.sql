-- grain: one row per source and conversion.
with delivered_conversions as (

    select * from {{ ref('int_delivered_conversions') }}

),

entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

final as (

    select
        delivered_conversions.source,
        delivered_conversions.conversion_id,
        coalesce(
            entity_persons.person_id, {{ own_person_id('user', 'delivered_conversions.user_id') }}
        ) as person_id,
        delivered_conversions.conversion_type,
        delivered_conversions.currency,
        delivered_conversions.revenue,
        delivered_conversions.converted_at
    from delivered_conversions
    left join entity_persons
        on
            delivered_conversions.source = entity_persons.source
            and entity_persons.entity = 'user'
            and delivered_conversions.user_id = entity_persons.entity_key

)

select * from final

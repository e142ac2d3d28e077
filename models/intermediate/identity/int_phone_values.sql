-- grain: one row per phone number, as written.
{{ config(schema='restricted') }}

with contact_values as (

    select * from {{ ref('int_contact_values') }}

),

final as (

    select distinct contact_value
    from contact_values
    where contact_type = 'phone'

)

select * from final

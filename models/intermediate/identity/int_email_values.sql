-- grain: one row per e-mail address, as written.
{{ config(schema='restricted') }}

with contact_values as (

    select * from {{ ref('int_contact_values') }}

),

final as (

    select distinct contact_value
    from contact_values
    where contact_type = 'email'

)

select * from final

-- grain: one row per source, entity (user, customer, call or form), phone number or e-mail address
-- of it, as written, and row that says so.
{{ config(materialized='view', schema='restricted') }}

with calls as (

    select * from {{ ref('int_calls') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

),

{% for contact, contacts in [('phone', 'phones'), ('email', 'emails')] %}
{{ contact }}_values as (

    select
        source,
        'call' as entity,
        call_id as entity_key,
        {{ contact }} as contact_value
    from calls
    union all
    select
        source,
        'customer' as entity,
        customer_id as entity_key,
        {{ each_of_list(contacts) }} as contact_value
    from customers
    union all
    -- A form tells who filled it in; a login tells both whose cookie and whose account it is.
    select
        source,
        'form' as entity,
        link_id as entity_key,
        {{ contact }} as contact_value
    from identity_links
    where kind = 'form'
    union all
    select
        source,
        'user' as entity,
        user_id as entity_key,
        {{ contact }} as contact_value
    from identity_links
    where kind = 'login' and user_id is not null
    union all
    select
        source,
        'customer' as entity,
        customer_id as entity_key,
        {{ contact }} as contact_value
    from identity_links
    where kind = 'login' and customer_id is not null

),

{% endfor %}
final as (

    {% for contact in ['phone', 'email'] %}
    select
        source,
        entity,
        entity_key,
        '{{ contact }}' as contact_type,
        {{ to_text('contact_value') }} as contact_value
    from {{ contact }}_values
    where {{ to_text('contact_value') }} is not null
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from final

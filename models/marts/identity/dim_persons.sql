-- grain: one row per source and person: everybody who touched, converted, or is in the identity
-- graph. conversions, revenue and billed are additive, of all time: what sources deliver as
-- conversions, and what the billing source billed. They may be the same money: never add the two.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

conversions as (

    select * from {{ ref('int_events') }}
    where entity = 'conversion'

),

billing_rows as (

    select * from {{ ref('int_billing_rows') }}

),

entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

contacts as (

    select * from {{ ref('int_entity_contacts') }}
    where contact_hash is not null

),

parts as (

    select
        source,
        person_id,
        min(touched_at) as first_seen_at,
        max(touched_at) as last_seen_at,
        {{ first_by('channel', ['touched_at', 'touchpoint_id']) }} as first_channel,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        0 as phones,
        0 as emails,
        count(*) as touchpoints,
        0 as conversions,
        cast(0 as decimal(28, 10)) as revenue,
        cast(0 as decimal(28, 10)) as billed
    from touchpoints
    group by source, person_id
    union all
    select
        source,
        person_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        cast(null as varchar) as first_channel,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        0 as phones,
        0 as emails,
        0 as touchpoints,
        count(*) as conversions,
        sum(amount) as revenue,
        0 as billed
    from conversions
    group by source, person_id
    union all
    select
        source,
        person_id,
        min(billed_at) as first_seen_at,
        max(billed_at) as last_seen_at,
        cast(null as varchar) as first_channel,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        0 as phones,
        0 as emails,
        0 as touchpoints,
        0 as conversions,
        0 as revenue,
        sum(net) as billed
    from billing_rows
    group by source, person_id
    union all
    select
        source,
        person_id,
        min(first_seen_at) as first_seen_at,
        max(first_seen_at) as last_seen_at,
        cast(null as varchar) as first_channel,
        {{ first_by(
            "case when entity = 'customer' then entity_key end",
            ["entity != 'customer'", 'first_seen_at is not null', 'first_seen_at', 'entity_key']
        ) }} as customer_id,
        count(case when entity = 'customer' then 1 end) as customer_count,
        count(case when entity = 'user' then 1 end) as cookies,
        0 as phones,
        0 as emails,
        0 as touchpoints,
        0 as conversions,
        0 as revenue,
        0 as billed
    from entity_persons
    group by source, person_id
    union all
    select
        entity_persons.source,
        entity_persons.person_id,
        cast(null as timestamp) as first_seen_at,
        cast(null as timestamp) as last_seen_at,
        cast(null as varchar) as first_channel,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        count(distinct case when contacts.contact_type = 'phone' then contacts.contact_hash end)
            as phones,
        count(distinct case when contacts.contact_type = 'email' then contacts.contact_hash end)
            as emails,
        0 as touchpoints,
        0 as conversions,
        0 as revenue,
        0 as billed
    from entity_persons
    inner join contacts
        on
            entity_persons.source = contacts.source
            and entity_persons.entity = contacts.entity
            and entity_persons.entity_key = contacts.entity_key
    group by entity_persons.source, entity_persons.person_id

),

final as (

    select
        source,
        person_id,
        cast(sum(customer_count) as bigint) as customer_count,
        cast(sum(cookies) as bigint) as cookies,
        cast(sum(phones) as bigint) as phones,
        cast(sum(emails) as bigint) as emails,
        cast(sum(touchpoints) as bigint) as touchpoints,
        cast(sum(conversions) as bigint) as conversions,
        cast(sum(revenue) as decimal(28, 10)) as revenue,
        cast(sum(billed) as decimal(28, 10)) as billed,
        max(customer_id) as customer_id,
        max(first_channel) as first_channel,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        sum(customer_count) > 0 as is_customer
    from parts
    group by source, person_id

)

select * from final

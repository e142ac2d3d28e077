-- grain: one row per source and person: everybody who touched, converted, or is in the identity
-- graph. conversions, revenue and billed are additive, of all time: what sources deliver as
-- conversions, and what the billing source billed. They may be the same money: never add the two.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

named_touchpoints as (

    select * from {{ ref('int_named_touchpoints') }}

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

touches as (

    select * from {{ ref('int_touches') }}
    where person_touch_number = 1

),

channels as (

    select * from {{ ref('int_channels') }}

),

touched as (

    select
        source,
        person_id,
        {{ row_key('source', 'person_id') }} as person_key,
        min(touched_at) as first_seen_at,
        max(touched_at) as last_seen_at,
        count(*) as touchpoints
    from named_touchpoints
    group by source, person_id

),

first_touches as (

    select
        touches.person_key,
        channels.channel
    from touches
    inner join channels
        on touches.channel_key = channels.channel_key

),

late_touches as (

    -- int_touches ends with the reporting period, and here are touches of all time.
    select
        touchpoints.person_key,
        {{ first_by(
            'touchpoints.channel', ['touchpoints.touched_at', 'named_touchpoints.touchpoint_id']
        ) }} as channel
    from touchpoints
    inner join named_touchpoints
        on touchpoints.touchpoint_key = named_touchpoints.touchpoint_key
    where not {{ until_reporting_end('touchpoints.touched_at') }}
    group by touchpoints.person_key

),

parts as (

    select
        source,
        person_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        0 as phones,
        0 as emails,
        count(*) as conversions,
        sum(amount) as revenue,
        cast(0 as decimal(28, 10)) as billed
    from conversions
    group by source, person_id
    union all
    select
        source,
        person_id,
        min(billed_at) as first_seen_at,
        max(billed_at) as last_seen_at,
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        0 as phones,
        0 as emails,
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
        {{ first_by(
            "case when entity = 'customer' then entity_key end",
            ["entity != 'customer'", 'first_seen_at is not null', 'first_seen_at', 'entity_key']
        ) }} as customer_id,
        count(case when entity = 'customer' then 1 end) as customer_count,
        count(case when entity = 'user' then 1 end) as cookies,
        0 as phones,
        0 as emails,
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
        cast(null as varchar) as customer_id,
        0 as customer_count,
        0 as cookies,
        count(distinct case when contacts.contact_type = 'phone' then contacts.contact_hash end)
            as phones,
        count(distinct case when contacts.contact_type = 'email' then contacts.contact_hash end)
            as emails,
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

others as (

    select
        source,
        person_id,
        sum(customer_count) as customer_count,
        sum(cookies) as cookies,
        sum(phones) as phones,
        sum(emails) as emails,
        sum(conversions) as conversions,
        sum(revenue) as revenue,
        sum(billed) as billed,
        max(customer_id) as customer_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from parts
    group by source, person_id

),

persons as (

    select
        touched.person_key,
        touched.touchpoints,
        others.customer_count,
        others.cookies,
        others.phones,
        others.emails,
        others.conversions,
        others.revenue,
        others.billed,
        others.customer_id,
        coalesce(touched.source, others.source) as source,
        coalesce(touched.person_id, others.person_id) as person_id,
        least(touched.first_seen_at, others.first_seen_at) as first_seen_at,
        greatest(touched.last_seen_at, others.last_seen_at) as last_seen_at
    from touched
    full outer join others
        on
            touched.source = others.source
            and touched.person_id = others.person_id

),

final as (

    select
        persons.source,
        persons.person_id,
        persons.customer_id,
        persons.first_seen_at,
        persons.last_seen_at,
        cast(coalesce(persons.customer_count, 0) as bigint) as customer_count,
        cast(coalesce(persons.cookies, 0) as bigint) as cookies,
        cast(coalesce(persons.phones, 0) as bigint) as phones,
        cast(coalesce(persons.emails, 0) as bigint) as emails,
        cast(coalesce(persons.conversions, 0) as bigint) as conversions,
        cast(coalesce(persons.revenue, 0) as decimal(28, 10)) as revenue,
        cast(coalesce(persons.billed, 0) as decimal(28, 10)) as billed,
        coalesce(persons.touchpoints, 0) as touchpoints,
        coalesce(first_touches.channel, late_touches.channel) as first_channel,
        coalesce(persons.customer_count, 0) > 0 as is_customer
    from persons
    left join first_touches
        on persons.person_key = first_touches.person_key
    left join late_touches
        on persons.person_key = late_touches.person_key

)

select * from final

-- grain: one row per source and conversion: those that a source delivers as such, and those that
-- the seed conversion_types makes of events. revenue is additive within one conversion type.
{%- set rows = conversion_type_rows() %}

with events as (

    select * from {{ ref('int_events') }}

),

billing_rows as (

    select * from {{ ref('int_billing_rows') }}

),

delivered_conversions as (

    select * from events
    where entity = 'conversion'

),

typed as (

    {% for row in rows %}
    select
        *,
        '{{ row.conversion_type }}' as conversion_type,
        '{{ row.occurrence }}' as occurrence,
        '{{ row.value }}' as value,
        cast(
            {{ row.value_days if row.value_days is not none else 'null' }} as integer
        ) as value_days,
        row_number() over (
            partition by source, person_id
            order by occurred_at, event_id
        ) as occurrence_number
    from events
    where
        event = '{{ row.event }}'
        {% if row.event_filter %}
        -- The name of the row stands beside its condition, so that an error shows it.
        and /* {{ row.conversion_type }} of conversion_types */ ({{ row.event_filter }})
        {% endif %}
    union all
    {% endfor %}
    select
        *,
        cast(null as varchar) as conversion_type,
        cast(null as varchar) as occurrence,
        cast(null as varchar) as value,
        cast(null as integer) as value_days,
        cast(null as bigint) as occurrence_number
    from events
    where false

),

kept as (

    select
        *,
        concat(conversion_type, ':', event_id) as conversion_id
    from typed
    where occurrence = 'every' or occurrence_number = 1

),

net_revenues as (

    select
        kept.source,
        kept.conversion_id,
        max(billing_rows.currency) as currency,
        sum(billing_rows.net) as net_revenue
    from kept
    inner join billing_rows
        on
            kept.source = billing_rows.source
            and kept.person_id = billing_rows.person_id
            and kept.occurred_at <= billing_rows.billed_at
            and (
                kept.value_days is null
                or billing_rows.billed_at <= {{ days_later('kept.occurred_at', 'kept.value_days') }}
            )
    where kept.value = 'net_revenue'
    group by kept.source, kept.conversion_id

),

valued as (

    -- A call or form fill brings about its own contact: the conversion comes at the next instant,
    -- so that the touch comes before it, in every model.
    select
        kept.source,
        kept.conversion_id,
        kept.person_id,
        kept.conversion_type,
        kept.occurrence,
        kept.revenue_center,
        coalesce(kept.currency, net_revenues.currency) as currency,
        case kept.value
            when 'event' then coalesce(kept.amount, 0)
            when 'net_revenue' then coalesce(net_revenues.net_revenue, 0)
            else 0
        end as revenue,
        case
            when kept.event = 'contact' and kept.entity in ('call', 'form')
                then kept.occurred_at + interval '1 microsecond'
            else kept.occurred_at
        end as converted_at
    from kept
    left join net_revenues
        on
            kept.source = net_revenues.source
            and kept.conversion_id = net_revenues.conversion_id

),

delivered_and_made as (

    select
        source,
        entity_key as conversion_id,
        person_id,
        event as conversion_type,
        false as is_once_only,
        revenue_center,
        currency,
        amount as revenue,
        occurred_at as converted_at
    from delivered_conversions
    union all
    select
        source,
        conversion_id,
        person_id,
        conversion_type,
        occurrence = 'first' as is_once_only,
        revenue_center,
        currency,
        cast(revenue as decimal(28, 10)) as revenue,
        converted_at
    from valued

),

final as (

    select
        *,
        {{ row_key('source', 'conversion_id') }} as conversion_key,
        {{ row_key('source', 'person_id') }} as person_key
    from delivered_and_made

)

select * from final

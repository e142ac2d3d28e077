-- grain: one row per source, event and event_id: what a person did that may count as a conversion.
-- A delivered conversion is an event of its own type. amount is additive within one event.
with touchpoints as (

    select * from {{ ref('int_named_touchpoints') }}
    where touchpoint_type in ('call', 'form')

),

calls as (

    select * from {{ ref('int_calls') }}

),

appointments as (

    select * from {{ ref('int_appointments') }}

),

payments as (

    select * from {{ ref('int_payments') }}

),

delivered_conversions as (

    select * from {{ ref('int_delivered_conversions') }}

),

entity_persons as (

    select * from {{ ref('int_entity_persons') }}

),

appointment_times as (

    select
        *,
        'booked' as event,
        {{ end_of_day_without_time('booked_at') }} as occurred_at
    from appointments
    union all
    -- An appointment that lies ahead is planned, not attended.
    select
        *,
        'attended' as event,
        {{ end_of_day_without_time('attended_at') }} as occurred_at
    from appointments
    where {{ is_plausible_time('attended_at') }} and not ({{ is_in_the_future('attended_at') }})

),

final as (

    -- A call or a form fill is a touchpoint too, of the same person.
    select
        touchpoints.source,
        'contact' as event,
        touchpoints.touchpoint_id as event_id,
        touchpoints.touchpoint_type as entity,
        substr(
            touchpoints.touchpoint_id, length(touchpoints.touchpoint_type) + 2
        ) as entity_key,
        touchpoints.person_id,
        cast(null as varchar) as status,
        cast(null as varchar) as revenue_center,
        cast(null as varchar) as currency,
        cast(null as decimal(28, 10)) as amount,
        calls.duration_seconds,
        touchpoints.touched_at as occurred_at
    from touchpoints
    left join calls
        on
            touchpoints.source = calls.source
            and touchpoints.touchpoint_id = concat('call:', calls.call_id)
    union all
    select
        appointment_times.source,
        appointment_times.event,
        concat('appointment:', appointment_times.appointment_id) as event_id,
        'appointment' as entity,
        appointment_times.appointment_id as entity_key,
        coalesce(
            entity_persons.person_id,
            {{ own_person_id('customer', 'appointment_times.customer_id') }}
        ) as person_id,
        appointment_times.status,
        null as revenue_center,
        null as currency,
        null as amount,
        null as duration_seconds,
        appointment_times.occurred_at
    from appointment_times
    left join entity_persons
        on
            appointment_times.source = entity_persons.source
            and entity_persons.entity = 'customer'
            and appointment_times.customer_id = entity_persons.entity_key
    union all
    select
        source,
        'paid' as event,
        concat('payment:', payment_id) as event_id,
        'payment' as entity,
        payment_id as entity_key,
        person_id,
        null as status,
        revenue_center,
        currency,
        revenue as amount,
        null as duration_seconds,
        paid_at as occurred_at
    from payments
    union all
    select
        delivered_conversions.source,
        delivered_conversions.conversion_type as event,
        concat('conversion:', delivered_conversions.conversion_id) as event_id,
        'conversion' as entity,
        delivered_conversions.conversion_id as entity_key,
        coalesce(
            entity_persons.person_id, {{ own_person_id('user', 'delivered_conversions.user_id') }}
        ) as person_id,
        null as status,
        null as revenue_center,
        delivered_conversions.currency,
        delivered_conversions.revenue as amount,
        null as duration_seconds,
        delivered_conversions.converted_at as occurred_at
    from delivered_conversions
    left join entity_persons
        on
            delivered_conversions.source = entity_persons.source
            and entity_persons.entity = 'user'
            and delivered_conversions.user_id = entity_persons.entity_key

)

select * from final

-- grain: one row per source, revenue center and outcome. amount and row_count are additive: per
-- source and revenue center they add up to the billing source, whichever conversion types are
-- enabled. Of all time. A refund shares the outcome of the payment that it counts to.
{%- set at_conversion = '>=' if include_touch_at_conversion() else '>' %}

with checked as (

    select * from {{ ref('int_revenue_checked') }}

),

billing_rows as (

    select * from {{ ref('int_billing_rows') }}

),

payments as (

    select * from {{ ref('int_payments') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

delivered as (

    select
        source,
        revenue_center,
        net,
        rejection_reason,
        row_number() over (
            partition by source, revenue_id, rejection_reason is null
            order by {{ delivery_order('revenue') }}
        ) as delivery_number
    from checked

),

attributed_payments as (

    select distinct
        payments.source,
        payments.payment_id
    from payments
    inner join touchpoints
        on
            {{ row_key('payments.source', 'payments.person_id') }} = touchpoints.person_key
            and touchpoints.touched_at >= {{ lookback_opening('payments.paid_at') }}
            and payments.paid_at {{ at_conversion }} touchpoints.touched_at

),

outcomes as (

    select
        billing_rows.source,
        billing_rows.revenue_center,
        billing_rows.net as amount,
        case
            when billing_rows.net = 0 then 'no amount'
            when billing_rows.payment_id is null then 'refund without payment'
            when attributed_payments.payment_id is not null then 'attributed'
            when customers.customer_id is null then 'customer not in the CRM'
            else 'no touchpoint'
        end as outcome
    from billing_rows
    left join payments
        on
            billing_rows.source = payments.source
            and billing_rows.payment_id = payments.payment_id
    left join attributed_payments
        on
            billing_rows.source = attributed_payments.source
            and billing_rows.payment_id = attributed_payments.payment_id
    left join customers
        on
            payments.source = customers.source
            and payments.customer_id = customers.customer_id
    union all
    select
        source,
        revenue_center,
        net as amount,
        'rejected' as outcome
    from delivered
    where rejection_reason is not null or delivery_number > 1

),

added_up as (

    select
        source,
        outcome,
        coalesce(revenue_center, '(none)') as revenue_center,
        count(*) as row_count,
        coalesce(sum(amount), 0) as amount
    from outcomes
    group by source, coalesce(revenue_center, '(none)'), outcome

),

final as (

    select
        source,
        revenue_center,
        outcome,
        row_count,
        cast(amount as decimal(38, 10)) as amount
    from added_up

)

select * from final

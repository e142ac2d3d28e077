-- Per source, the revenue of all payments and the refunds without a payment add up to what was
-- billed.
with revenue_rows as (

    select * from {{ ref('int_revenue') }}

),

billing_rows as (

    select * from {{ ref('int_billing_rows') }}

),

payments as (

    select * from {{ ref('int_payments') }}

),

billed as (

    select
        source,
        sum(net) as amount
    from revenue_rows
    group by source

),

accounted_rows as (

    select
        source,
        revenue as amount
    from payments
    union all
    select
        source,
        net as amount
    from billing_rows
    where payment_id is null

),

accounted as (

    select
        source,
        sum(amount) as amount
    from accounted_rows
    group by source

)

select
    billed.amount as amount_billed,
    accounted.amount as amount_accounted,
    coalesce(billed.source, accounted.source) as source
from billed
full outer join accounted
    on billed.source = accounted.source
where ({{ is_same_money('accounted.amount', 'billed.amount') }}) is not true

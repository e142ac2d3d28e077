-- grain: one row per source and payment, a revenue row above 0. revenue is what was paid less what
-- was refunded of it, and is additive.
with billing_rows as (

    select * from {{ ref('int_billing_rows') }}
    where payment_id is not null

),

netted as (

    select
        source,
        payment_id,
        cast(sum(net) as decimal(28, 10)) as revenue,
        cast(coalesce(sum(case when net < 0 then net end), 0) as decimal(28, 10)) as refunded
    from billing_rows
    group by source, payment_id

),

final as (

    select
        billing_rows.source,
        billing_rows.payment_id,
        billing_rows.customer_id,
        billing_rows.person_id,
        billing_rows.revenue_center,
        billing_rows.currency,
        billing_rows.net as paid,
        netted.refunded,
        netted.revenue,
        billing_rows.billed_at as paid_at
    from billing_rows
    inner join netted
        on
            billing_rows.source = netted.source
            and billing_rows.revenue_id = netted.payment_id

)

select * from final

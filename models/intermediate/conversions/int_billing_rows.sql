-- grain: one row per source and usable revenue row, with its person and the payment it counts to: a
-- payment counts to itself; a refund to the person's latest payment at or before it, in the same
-- revenue center if there is one there and else in any. net is additive.
with revenue_rows as (

    select * from {{ ref('int_revenue') }}

),

entity_persons as (

    select * from {{ ref('int_entity_persons') }}
    where entity = 'customer'

),

billed as (

    select
        revenue_rows.source,
        revenue_rows.revenue_id,
        revenue_rows.customer_id,
        coalesce(
            entity_persons.person_id, {{ own_person_id('customer', 'revenue_rows.customer_id') }}
        ) as person_id,
        revenue_rows.revenue_center,
        revenue_rows.currency,
        revenue_rows.net,
        {{ end_of_day('revenue_rows.service_date') }} as billed_at
    from revenue_rows
    left join entity_persons
        on
            revenue_rows.source = entity_persons.source
            and revenue_rows.customer_id = entity_persons.entity_key

),

matched as (

    select
        refunds.source,
        refunds.revenue_id,
        payments.revenue_id as payment_id,
        row_number() over (
            partition by refunds.source, refunds.revenue_id
            order by
                case
                    when payments.revenue_center is not distinct from refunds.revenue_center then 0
                    else 1
                end,
                payments.billed_at desc,
                payments.revenue_id desc
        ) as match_number
    from billed as refunds
    inner join billed as payments
        on
            refunds.source = payments.source
            and refunds.person_id = payments.person_id
            and refunds.billed_at >= payments.billed_at
    where refunds.net < 0 and payments.net > 0

),

final as (

    select
        billed.source,
        billed.revenue_id,
        billed.customer_id,
        billed.person_id,
        billed.revenue_center,
        billed.currency,
        billed.net,
        billed.billed_at,
        case when billed.net > 0 then billed.revenue_id else matched.payment_id end as payment_id
    from billed
    left join matched
        on
            billed.source = matched.source
            and billed.revenue_id = matched.revenue_id
            and matched.match_number = 1

)

select * from final

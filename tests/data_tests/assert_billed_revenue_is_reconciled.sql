-- Per source and revenue center, the reconciliation has every row and cent of the billing source.
with revenue_rows as (

    select * from {{ ref('int_revenue_checked') }}

),

reconciliation as (

    select * from {{ ref('rpt_revenue_reconciliation') }}

),

billed as (

    select
        source,
        coalesce(revenue_center, '(none)') as revenue_center,
        count(*) as row_count,
        coalesce(sum(net), 0) as amount
    from revenue_rows
    group by source, coalesce(revenue_center, '(none)')

),

reconciled as (

    select
        source,
        revenue_center,
        sum(row_count) as row_count,
        sum(amount) as amount
    from reconciliation
    group by source, revenue_center

)

select
    billed.row_count as rows_billed,
    reconciled.row_count as rows_reconciled,
    billed.amount as amount_billed,
    reconciled.amount as amount_reconciled,
    coalesce(billed.source, reconciled.source) as source,
    coalesce(billed.revenue_center, reconciled.revenue_center) as revenue_center
from billed
full outer join reconciled
    on
        billed.source = reconciled.source
        and billed.revenue_center = reconciled.revenue_center
where
    (
        billed.row_count = reconciled.row_count
        and {{ is_same_money('reconciled.amount', 'billed.amount') }}
    ) is not true

-- Revenue of several currencies cannot be added up: a build reports one, and a source states it for
-- all of its conversions and revenue rows or for none. An event without revenue needs no currency.
with conversions as (

    select * from {{ ref('int_conversions') }}

),

revenue_rows as (

    select * from {{ ref('int_revenue') }}

),

amounts as (

    select
        source,
        currency
    from conversions
    where currency is not null or revenue != 0
    union all
    select
        source,
        currency
    from revenue_rows

),

currencies as (

    select
        source,
        min(currency) as one_currency,
        max(currency) as another_currency,
        count(*) as amounts,
        count(currency) as amounts_with_currency
    from amounts
    group by source

),

final as (

    select
        *,
        min(one_currency) over () as lowest_currency,
        max(another_currency) over () as highest_currency
    from currencies

)

select *
from final
where
    lowest_currency != highest_currency
    or amounts_with_currency not in (0, amounts)

-- Revenue of several currencies cannot be added up: a build reports one, and a source states it for
-- all of its conversions or for none.
with conversions as (

    select * from {{ ref('int_conversions') }}

),

currencies as (

    select
        source,
        min(currency) as one_currency,
        max(currency) as another_currency,
        count(*) as conversions,
        count(currency) as conversions_with_currency
    from conversions
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
    or conversions_with_currency not in (0, conversions)

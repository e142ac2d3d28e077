-- Revenue of several currencies cannot be added up: a build reports one.
with conversions as (

    select * from {{ ref('int_conversions') }}

),

currencies as (

    select
        min(currency) as one_currency,
        max(currency) as another_currency
    from conversions

)

select *
from currencies
where one_currency != another_currency

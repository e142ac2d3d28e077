-- Amounts of several currencies cannot be added up: without the setting reporting_currency there is
-- one. In any case a source states the currency of all of its conversions and revenue rows or of
-- none, and so for its spend. An event without revenue needs no currency.
{%- set conversions, delivered = ref('int_conversions'), ref('int_delivered_conversions') %}

with conversions as (

    {% if reporting_currency() %}
    select
        source,
        original_currency as currency,
        original_revenue as revenue
    from {{ delivered }}
    {% else %}
    select
        source,
        currency,
        revenue
    from {{ conversions }}
    {% endif %}

),

revenue_rows as (

    select * from {{ ref('int_revenue') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}

),

amounts as (

    select
        source,
        'revenue' as kind,
        currency
    from conversions
    where currency is not null or revenue != 0
    union all
    select
        source,
        'revenue' as kind,
        original_currency as currency
    from revenue_rows
    union all
    select
        source,
        'spend' as kind,
        original_currency as currency
    from spend_rows
    where original_currency is not null or original_spend != 0

),

currencies as (

    select
        source,
        kind,
        min(currency) as one_currency,
        max(currency) as another_currency,
        count(*) as amounts,
        count(currency) as amounts_with_currency
    from amounts
    group by source, kind

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
    {% if not reporting_currency() %}
    lowest_currency != highest_currency
    or {% endif %}amounts_with_currency not in (0, amounts)

-- Amounts of several currencies cannot be added up: without the setting reporting_currency there is
-- one. In any case a source states the currency of all of its conversions and revenue rows or of
-- none, and so for its spend. An event without revenue needs no currency.
{{ config(meta={'tells': "concat(source, ', ', kind, ': ', "
    ~ "case when one_currency != another_currency "
    ~ "then concat(one_currency, ' to ', another_currency) "
    ~ "else coalesce(one_currency, 'a currency') end, "
    ~ "' in ', amounts_with_currency, ' of ', amounts, ' rows')"}) }}
{%- set original = 'original_' if reporting_currency() else '' %}
{%- set currency = 'original_currency as currency' if original else 'currency' %}
{%- set conversions, delivered = ref('int_conversions'), ref('int_delivered_conversions') %}

with conversions as (

    select
        source,
        {{ currency }},
        revenue
    from {{ delivered if original else conversions }}

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
        {{ currency }}
    from revenue_rows
    union all
    select
        source,
        'spend' as kind,
        {{ currency }}
    from spend_rows
    where {{ original }}currency is not null or spend != 0

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
    {% if not original %}
    lowest_currency != highest_currency
    or {% endif %}amounts_with_currency not in (0, amounts)

-- grain: one row per source and revenue. Of several rows with one id the one loaded last is kept.
{%- do check_currency_rates('revenue', 'service_date') %}

{{ usable_rows('revenue', [
    'source', 'revenue_id', 'customer_id', 'service_date', 'net', 'revenue_center', 'currency',
    'original_net', 'original_currency'
]) }}

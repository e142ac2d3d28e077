-- grain: one row per source and revenue. Of several rows with one id the one loaded last is kept.
{{ usable_rows('revenue', [
    'source', 'revenue_id', 'customer_id', 'service_date', 'net', 'revenue_center', 'currency'
]) }}

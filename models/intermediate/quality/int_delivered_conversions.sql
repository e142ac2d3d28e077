-- grain: one row per source and conversion delivered. Of several rows with one id the one
-- loaded last is kept.
{{ config(materialized='view') }}

{%- do check_currency_rates('conversions', 'converted_at') %}

{{ usable_rows('conversions', [
    'source', 'conversion_id', 'user_id', 'conversion_type', 'currency', 'revenue',
    'original_currency', 'original_revenue', 'converted_at'
]) }}

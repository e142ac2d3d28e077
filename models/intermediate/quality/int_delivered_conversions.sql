-- grain: one row per source and conversion delivered. Of several rows with one id the one
-- loaded last is kept.
{{ config(materialized='view') }}

{{ usable_rows('conversions', [
    'source', 'conversion_id', 'user_id', 'conversion_type', 'currency', 'revenue',
    'converted_at'
]) }}

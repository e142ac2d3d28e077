-- grain: one row per source and customer. Of several rows with one id the one loaded last is kept.
{{ config(schema='restricted') }}

{{ usable_rows('customers', [
    'source', 'customer_id', 'created_at', 'referral_source_id', 'first_name', 'last_name',
    'birth_date', 'city', 'phones', 'emails', 'traffic'
]) }}

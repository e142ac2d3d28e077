-- grain: one row per source and identity link. Of several rows with one id the one loaded last is
-- kept.
{{ config(schema='restricted') }}

{{ usable_rows('identity_links', [
    'source', 'link_id', 'linked_at', 'user_id', 'customer_id', 'phone', 'email', 'kind',
    'channel', 'traffic_source', 'medium', 'campaign', 'landing_page', 'traffic', 'is_anonymous'
]) }}

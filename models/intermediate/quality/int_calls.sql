-- grain: one row per source and call. Of several rows with one id the one loaded last is kept.
{{ config(schema='restricted') }}

{{ usable_rows('calls', [
    'source', 'call_id', 'called_at', 'phone', 'email', 'user_id', 'channel', 'traffic_source',
    'medium', 'campaign', 'referral_source_id', 'tracking_label', 'landing_page',
    'first_touch', 'last_touch', 'duration_seconds', 'traffic', 'is_anonymous'
]) }}

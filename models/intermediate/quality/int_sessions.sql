-- grain: one row per source and session. Of several rows with one id the one loaded last is kept.
{{ config(materialized='view') }}

{{ usable_rows('sessions', [
    'cast(source as varchar) as source', 'session_key', 'session_id', 'user_id', 'traffic_source',
    'medium', 'campaign', 'referrer', 'landing_page', 'started_at', 'channel', 'holder_engagement',
    'closer_engagement', 'impression_interaction', 'traffic', 'is_anonymous', 'delivery_key',
    'is_repeated'
]) }}

-- grain: one row per usable spend row; of several rows with one id one is kept. spend is additive.
{{ usable_rows('spend', [
    'source', 'spend_id', 'spend_date', 'campaign', 'account', 'touchpoint_id', 'spend',
    "coalesce(channel, '(unknown)') as channel"
]) }}

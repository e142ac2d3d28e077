-- grain: one row per usable spend row; of several rows with one id one is kept. spend is additive.
{%- do check_currency_rates('spend', 'spend_date') %}

{{ usable_rows('spend', [
    'source', 'spend_id', 'spend_date', 'campaign', 'account', 'touchpoint_id', 'spend',
    'currency', 'original_spend', 'original_currency',
    "coalesce(channel, '(unknown)') as channel"
]) }}

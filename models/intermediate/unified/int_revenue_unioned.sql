-- grain: one row per row that an enabled source delivered, valid or not.
{{ union_staged('revenue') }}

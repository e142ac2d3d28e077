-- grain: one row per delivered line that cannot be told into values.
{{ config(schema='restricted') }}

{{ union_staged('malformed_rows') }}

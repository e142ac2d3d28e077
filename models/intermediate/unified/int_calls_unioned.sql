-- grain: one row per row that an enabled source delivered, valid or not.
{{ config(schema='restricted') }}

{{ union_staged('calls') }}

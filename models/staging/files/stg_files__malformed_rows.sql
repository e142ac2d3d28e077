-- grain: one row per line of a CSV file that cannot be told into values.
{{ config(enabled=is_source_enabled('files'), schema='restricted') }}

{{ stage_folder_malformed_rows('files') }}

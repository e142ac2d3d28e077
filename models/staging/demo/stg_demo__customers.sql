-- grain: one row per row of the customers input; nothing is dropped.
{{ config(enabled=is_source_enabled('demo'), schema='restricted') }}

{{ stage_folder_customers('demo') }}

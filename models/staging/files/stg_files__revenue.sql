-- grain: one row per row of the revenue input; nothing is dropped.
{{ config(enabled=is_source_enabled('files')) }}

{{ stage_folder_revenue('files') }}

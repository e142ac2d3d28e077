-- grain: one row per row of the appointments input; nothing is dropped.
{{ config(enabled=is_source_enabled('demo')) }}

{{ stage_folder_appointments('demo') }}

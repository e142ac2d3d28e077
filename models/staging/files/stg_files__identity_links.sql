-- grain: one row per row of the identity_links input; nothing is dropped.
{{ config(enabled=is_source_enabled('files'), schema='restricted') }}

{{ stage_folder_identity_links('files') }}

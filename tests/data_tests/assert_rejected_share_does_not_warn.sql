-- Per source and entity, the share of rows rejected for reasons of severity warn or error is at
-- most warn_rejected_share.
{{ config(severity='warn') }}

{{ rejected_beyond(warn_rejected_share(), ['warn', 'error']) }}

-- Per source and entity, the share of rows rejected for reasons of severity error is at most
-- fail_rejected_share.
{{ rejected_beyond(fail_rejected_share(), ['error']) }}

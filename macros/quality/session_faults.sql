{#- What is wrong with a session by itself, as branches of a CASE: reasons not to use it. -#}
{% macro session_faults() -%}
    when session_id is null then 'missing_id'
            when user_id is null then 'missing_person'
            when started_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('started_at') }}) then 'implausible_time'
            when {{ is_in_the_future('started_at') }} then 'future_time'
            when channel in {{ reserved_channels() }} then 'reserved_channel'
{%- endmacro %}

{#-
  The text of a delivered session, where it may be asked for: where the session has a fault, for the
  quarantine, or no consent, as its touch may be named after the text. Working it out costs as much
  as reading the session, so those in order have none.
-#}
{% macro session_as_json(delivered_row) -%}
    case
            when
                {{ lacks_consent() }}
                or case {{ session_faults() }} end is not null
                then {{ row_as_json(delivered_row) }}
        end
{%- endmacro %}

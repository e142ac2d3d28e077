{#- The two limits of a journey, each a time from which touches count; the later one decides. -#}

{% macro beginning_of_time() -%}
    timestamp '0001-01-01'
{%- endmacro %}

{#- Touches count from lookback_days before the end of the journey, that instant included. -#}
{% macro lookback_opening(journey_end) -%}
    {%- if lookback_days() -%}
        {{ days_before(journey_end, lookback_days()) }}
    {%- else -%}
        {{ beginning_of_time() }}
    {%- endif -%}
{%- endmacro %}

{#-
  Under since_last_conversion touches count from the previous conversion. A touch at that very
  instant belongs to the previous journey where include_touch_at_conversion says so, and else to
  this one. Times are whole microseconds, so one microsecond later is the next instant.
-#}
{% macro scope_opening(previous_converted_at) -%}
    {%- if journey_scope() == 'every_prior' -%}
        {{ beginning_of_time() }}
    {%- elif include_touch_at_conversion() -%}
        coalesce({{ previous_converted_at }} + interval '1 microsecond', {{ beginning_of_time() }})
    {%- else -%}
        coalesce({{ previous_converted_at }}, {{ beginning_of_time() }})
    {%- endif -%}
{%- endmacro %}

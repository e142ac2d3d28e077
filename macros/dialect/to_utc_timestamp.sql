{#-
  A UTC timestamp. Text with an offset is converted; text without one is UTC; what cannot be read
  becomes null.
-#}
{% macro to_utc_timestamp(column) -%}
    {{ return(adapter.dispatch('to_utc_timestamp', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__to_utc_timestamp(column) -%}
    try_cast({{ column }} as timestamptz) at time zone 'UTC'
{%- endmacro %}

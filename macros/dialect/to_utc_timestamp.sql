{#-
  A UTC timestamp. Text with an offset or the name of a zone is converted; text without one is UTC;
  what cannot be read becomes null.
-#}
{% macro to_utc_timestamp(column) -%}
    {{ return(adapter.dispatch('to_utc_timestamp', 'tributary')(column)) }}
{%- endmacro %}

{#-
  Only text with a zone may be read as a time with one: after a row that names a zone, DuckDB 1.5 reads
  the next rows without any as of that zone. A time without one overlooks offsets, so these come first.
  What has a type has no text to look at: DuckDB knows that before it reads a row.
-#}
{% macro default__to_utc_timestamp(column) -%}
    {%- set after_date = 'substr(ltrim(cast(' ~ column ~ ' as varchar)), 11)' -%}
    {%- set zoned = 'try_cast(' ~ column ~ " as timestamptz) at time zone 'UTC'" -%}
    case
        when typeof({{ column }}) in ('DATE', 'TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS')
            then try_cast({{ column }} as timestamp)
        when contains({{ after_date }}, '+') or contains({{ after_date }}, '-') then {{ zoned }}
        else coalesce(try_cast({{ column }} as timestamp), {{ zoned }})
    end
{%- endmacro %}

{#-
  A UTC timestamp. Text with an offset or the name of a zone is converted; text without one is UTC;
  what cannot be read becomes null, and so do zones in one word other than UTC, GMT and Z: BST is
  British to its writer and Bangladesh's time to DuckDB.
-#}
{% macro to_utc_timestamp(column) -%}
    {{ return(adapter.dispatch('to_utc_timestamp', 'tributary')(column)) }}
{%- endmacro %}

{#-
  Only text with a zone may be read as a time with one: after a row that names a zone, DuckDB 1.5 reads
  the next rows without any as of that zone. A time without one overlooks offsets, so these come first.
  What has a type has no text to look at: DuckDB knows that before it reads a row.
  It takes no offset behind a blank, and no zone behind a time without seconds.
-#}
{% macro default__to_utc_timestamp(column) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    {%- set after_date = 'substr(' ~ text ~ ', 11)' -%}
    {%- set without_blank = "regexp_replace(" ~ text ~ ", ' ([-+][0-9]|Z$)', '\\1')" -%}
    {%- set with_seconds = "regexp_replace(" ~ without_blank
        ~ ", '^(.{11}[0-9]{2}:[0-9]{2})( ?[-+A-Z])', '\\1:00\\2')" -%}
    {%- set zoned = "case when regexp_matches(" ~ after_date ~ ", '[0-9]$|[0-9 ]Z$|UTC$|GMT$|/')"
        ~ " then coalesce(try_cast(" ~ column ~ " as timestamptz), try_cast(" ~ with_seconds
        ~ " as timestamptz)) at time zone 'UTC' end" -%}
    case
        when typeof({{ column }}) in ('DATE', 'TIMESTAMP', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP_NS')
            then try_cast({{ column }} as timestamp)
        when contains({{ after_date }}, '+') or contains({{ after_date }}, '-') then {{ zoned }}
        else coalesce(try_cast({{ column }} as timestamp), {{ zoned }})
    end
{%- endmacro %}

{#-
  The same where midnight stands for a day without a time, as end_of_day_without_time takes it: a
  midnight that was written with a zone, as 20:00-04:00 is one, is an instant, and a microsecond later.
-#}
{% macro to_utc_timestamp_or_day(column) -%}
    {{ return(adapter.dispatch('to_utc_timestamp_or_day', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__to_utc_timestamp_or_day(column) -%}
    {%- set timestamp = tributary.to_utc_timestamp(column) -%}
    case
        when {{ timestamp }} = date_trunc('day', {{ timestamp }}) and (
            typeof({{ column }}) = 'TIMESTAMP WITH TIME ZONE'
            or regexp_matches(
                substr(trim(cast({{ column }} as varchar)), 11), '[-+/]|Z$|UTC$|GMT$'
            )
        ) then {{ timestamp }} + interval '1 microsecond'
        else {{ timestamp }}
    end
{%- endmacro %}

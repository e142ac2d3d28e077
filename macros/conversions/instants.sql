{#- A day without a time counts at its last instant: the same day's touches come before it. -#}
{% macro end_of_day(column) -%}
    (cast(cast({{ column }} as date) as timestamp) + interval '1 day' - interval '1 microsecond')
{%- endmacro %}

{#- A time of exactly midnight is taken for a day without a time; see to_utc_timestamp_or_day. -#}
{% macro end_of_day_without_time(column) -%}
    case
        when {{ column }} = cast(cast({{ column }} as date) as timestamp) then {{ end_of_day(column) }}
        else {{ column }}
    end
{%- endmacro %}

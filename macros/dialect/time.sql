{#- A time some days (24 hours each, fractions allowed) before another. -#}
{% macro days_before(column, days) -%}
    {{ return(adapter.dispatch('days_before', 'tributary')(column, days)) }}
{%- endmacro %}

{% macro default__days_before(column, days) -%}
    ({{ column }} - interval '{{ (days | float * 86400000) | round | int }} milliseconds')
{%- endmacro %}

{#- Hours from one time to a later one, with fractions. -#}
{% macro hours_between(earlier, later) -%}
    {{ return(adapter.dispatch('hours_between', 'tributary')(earlier, later)) }}
{%- endmacro %}

{% macro default__hours_between(earlier, later) -%}
    (date_diff('microsecond', {{ earlier }}, {{ later }}) / 3600000000.0)
{%- endmacro %}

{#- Days of 24 hours from one time to a later one, with fractions. -#}
{% macro days_between(earlier, later) -%}
    ({{ hours_between(earlier, later) }} / 24.0)
{%- endmacro %}

{#- The time some days (24 hours each, with fractions, an expression) after another. -#}
{% macro days_later(column, days) -%}
    {{ return(adapter.dispatch('days_later', 'tributary')(column, days)) }}
{%- endmacro %}

{% macro default__days_later(column, days) -%}
    ({{ column }} + to_microseconds(cast(floor(({{ days }}) * 86400000000.0) as bigint)))
{%- endmacro %}

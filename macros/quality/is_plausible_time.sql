{#- A time that a clock could have shown: finite and of this era. -#}
{% macro is_plausible_time(column) -%}
    {{ column }} >= timestamp '1971-01-01' and {{ column }} < timestamp '2200-01-01'
{%- endmacro %}

{#- A time after the build began, with a day for clocks and time zones that differ. -#}
{% macro is_in_the_future(column) -%}
    {{ column }} > timestamp '{{ (run_started_at + modules.datetime.timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S") }}'
{%- endmacro %}

{#- Is a day (or the UTC day of a time) within start_date and end_date? Always true where both are open. -#}
{% macro in_reporting_period(column) -%}
    {%- if start_date() and end_date() -%}
        cast({{ column }} as date) between date '{{ start_date() }}' and date '{{ end_date() }}'
    {%- elif start_date() -%}
        cast({{ column }} as date) >= date '{{ start_date() }}'
    {%- elif end_date() -%}
        cast({{ column }} as date) <= date '{{ end_date() }}'
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- Is a time not after the reporting period? What happened later is not known to the report. -#}
{% macro until_reporting_end(column) -%}
    {%- if end_date() -%}
        cast({{ column }} as date) <= date '{{ end_date() }}'
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

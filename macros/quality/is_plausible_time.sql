{#- A time that a clock could have shown: finite and of this era. -#}
{% macro is_plausible_time(column) -%}
    {{ column }} >= timestamp '1971-01-01' and {{ column }} < timestamp '2200-01-01'
{%- endmacro %}

{#-
  A number that an expression gives, or null where it cannot be computed, such as the logarithm of 0,
  which DuckDB takes for an error.
-#}
{% macro number_or_null(expression) -%}
    {{ return(adapter.dispatch('number_or_null', 'tributary')(expression)) }}
{%- endmacro %}

{% macro default__number_or_null(expression) -%}
    try(cast({{ expression }} as double))
{%- endmacro %}

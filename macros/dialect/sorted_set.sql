{#- Aggregate: the distinct values of a column as a sorted list. -#}
{% macro sorted_set(column) -%}
    {{ return(adapter.dispatch('sorted_set', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__sorted_set(column) -%}
    list_sort(list_distinct(list({{ column }})))
{%- endmacro %}

{#- Aggregate: the distinct values of a column as a sorted list. -#}
{% macro sorted_set(column) -%}
    {{ return(adapter.dispatch('sorted_set', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__sorted_set(column) -%}
    list_sort(list_distinct(list({{ column }})))
{%- endmacro %}

{#- The distinct values of a list as a sorted list. -#}
{% macro sorted_set_of_list(list) -%}
    {{ return(adapter.dispatch('sorted_set_of_list', 'tributary')(list)) }}
{%- endmacro %}

{% macro default__sorted_set_of_list(list) -%}
    list_sort(list_distinct({{ list }}))
{%- endmacro %}

{#- Aggregate: the value of a column in the first row of an order, all of whose columns are known. -#}
{% macro first_by(column, order) -%}
    {{ return(adapter.dispatch('first_by', 'tributary')(column, order)) }}
{%- endmacro %}

{% macro default__first_by(column, order) -%}
    first({{ column }} order by {{ order | join(', ') }})
{%- endmacro %}

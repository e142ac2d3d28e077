{#- Several values, none of them null, as one, which is compared from its first to its last. -#}
{% macro one_value(values) -%}
    {{ return(adapter.dispatch('one_value', 'tributary')(values)) }}
{%- endmacro %}

{% macro default__one_value(values) -%}
    row({{ values | join(', ') }})
{%- endmacro %}

{#-
  A whole number below 2^64 that follows from the values of some columns, null among them. Sums of
  it tell two sets of rows apart, whatever order they are in.
-#}
{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash', 'tributary')(columns)) }}
{%- endmacro %}

{% macro default__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{#- What hashes depend on beside the values, as text: they may change with the engine's version. -#}
{% macro engine_version() %}
    {{ return(adapter.dispatch('engine_version', 'tributary')()) }}
{% endmacro %}

{% macro default__engine_version() %}
    {{ return(query_column('select version()')[0]) }}
{% endmacro %}

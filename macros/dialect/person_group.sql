{#-
  Group of a person, from 0 to 49: persons are dealt into groups by their key, each whole in one.
  Errors of models are estimated between groups, and models are tried on groups held out.
-#}
{% macro person_group(source, person_id) -%}
    {{ return(adapter.dispatch('person_group', 'tributary')(source, person_id)) }}
{%- endmacro %}

{% macro default__person_group(source, person_id) -%}
    cast(hash({{ source }}, {{ person_id }}) % 50 as smallint)
{%- endmacro %}

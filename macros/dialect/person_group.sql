{#-
  Group of a person, from 0 to 49: persons are dealt into groups by their key, each whole in one.
  Errors of models are estimated between groups, and models are tried on groups held out.
-#}
{% macro person_group(person_key) -%}
    cast({{ person_key }} % 50 as smallint)
{%- endmacro %}

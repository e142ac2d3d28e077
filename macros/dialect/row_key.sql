{#-
  A whole number that stands for a row's id within the warehouse: a hash of 63 bits of source and id.
  Tables that grow with traffic carry it in place of texts, which cost several times as much to sort,
  to join and to write. That no two ids share one is tested with every build. A source that is stored
  as one of the known ones (stored_source) has the key of its text.
-#}
{% macro row_key(source, id) -%}
    {{ return(adapter.dispatch('row_key', 'tributary')(source, id)) }}
{%- endmacro %}

{% macro default__row_key(source, id) -%}
    cast(hash(cast({{ source }} as varchar), {{ id }}) >> 1 as bigint)
{%- endmacro %}

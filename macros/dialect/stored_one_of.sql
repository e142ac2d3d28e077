{#-
  A text that is one of a few, to be stored: as its place among them, which reads as the text. A
  column of texts costs several times as much to write, also where all rows say the same.
-#}
{% macro stored_one_of(text, texts) -%}
    {{ return(adapter.dispatch('stored_one_of', 'tributary')(text, texts)) }}
{%- endmacro %}

{% macro default__stored_one_of(text, texts) -%}
    cast({{ text }} as enum('{{ texts | join("', '") }}'))
{%- endmacro %}

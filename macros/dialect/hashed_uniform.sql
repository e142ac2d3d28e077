{#-
  A number in (0, 1) that looks random and is the same for the same text in every build. DuckDB's hash,
  not MD5: one text is hashed for every touchpoint, an eighth of the time, and as uniform. It may
  change with DuckDB's version, which is pinned.
-#}
{% macro hashed_uniform(text) -%}
    {{ return(adapter.dispatch('hashed_uniform', 'tributary')(text)) }}
{%- endmacro %}

{% macro default__hashed_uniform(text) -%}
    (((hash({{ text }}) >> 12) + 0.5e0) / 4503599627370496e0)
{%- endmacro %}

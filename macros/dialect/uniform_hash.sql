{#-
  A number in (0, 1), as good as drawn at random, that follows from a purpose and columns alone: the
  same in every build. Of columns that are the same, draws for two purposes know nothing of each other:
  DuckDB's hash of two values only combines their hashes bit by bit, so the result is hashed once more.
  It may change with DuckDB's version, which is pinned.
-#}
{% macro uniform_hash(purpose, columns) -%}
    {{ return(adapter.dispatch('uniform_hash', 'tributary')(purpose, columns)) }}
{%- endmacro %}

{% macro default__uniform_hash(purpose, columns) -%}
    (
        ((hash(xor(hash({{ columns | join(', ') }}), hash('{{ purpose }}'))) >> 12) + 0.5e0)
        / 4503599627370496e0
    )
{%- endmacro %}

{#-
  How many rows of a seed dbt inserts at a time. DuckDB takes a second to read a statement with 660
  parameters, and a hundredth for ten rows at a time.
-#}
{% macro duckdb__get_batch_size() %}
    {{ return(10) }}
{% endmacro %}

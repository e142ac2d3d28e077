{#- Is a file a SQLite database? A large one is not read for its header; it fails when scanned. -#}
{% macro is_sqlite(path) %}
    {% set blob = "read_blob(" ~ sql_text(path) ~ ")" %}
    {{ return(query_column("select size from " ~ blob)[0] >= 100000000 or query_column(
        "select size >= 16 and content[1:16] = 'SQLite format 3\\x00'::blob from " ~ blob
    )[0]) }}
{% endmacro %}

{#-
  Names of the tables and views of a SQLite file, lower case. Its columns hold values of any type:
  read as text from here on, they are cast row by row in staging.
-#}
{% macro sqlite_tables(path) %}
    {% do run_query('install sqlite') %}
    {% do run_query('load sqlite') %}
    {% do run_query('set global sqlite_all_varchar = true') %}
    {{ return(query_column(
        "select lower(name) from sqlite_scan(" ~ sql_text(path) ~ ", 'sqlite_master')"
        ~ " where type in ('table', 'view') order by name"
    )) }}
{% endmacro %}

{#-
  A table of a SQLite file, as SQL after FROM. SQLite does not ask what bytes a text has: those that are
  no UTF-8 are shown as \xE9, for what DuckDB does with texts would end the process.
-#}
{% macro sqlite_table(path, name) %}
    {{ return(
        "(select coalesce(try(decode(encode(columns(*)))), cast(encode(columns(*)) as varchar))"
        ~ " from sqlite_scan(" ~ sql_text(path) ~ ", " ~ sql_text(name) ~ "))"
    ) }}
{% endmacro %}

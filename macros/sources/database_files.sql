{#- Tables of a database in place of files, named like the entities. -#}
{% macro table_input(entity, tables) %}
    {% if entity not in tables %}
        {{ return(none) }}
    {% endif %}
    {{ return({
        'are_files': false,
        'names': ['table ' ~ entity],
        'relations': {'table ' ~ entity: tables[entity]},
        'relation': tables[entity]
    }) }}
{% endmacro %}

{#- Tables and views of an attached database by lower-case name, as SQL after FROM. -#}
{% macro attached_tables(database, schema=none) %}
    {% set tables = {} %}
    {% for row in run_query(
        "select table_schema, table_name from information_schema.tables where table_catalog = "
        ~ sql_text(database)
        ~ (" and table_schema = " ~ sql_text(schema) if schema else "")
        ~ " order by table_schema desc, table_name"
    ) %}
        {% do tables.update({row[1] | lower:
            quoted_name(database) ~ '.' ~ quoted_name(row[0]) ~ '.' ~ quoted_name(row[1])}) %}
    {% endfor %}
    {{ return(tables) }}
{% endmacro %}

{#- Tables of a SQLite or DuckDB file by lower-case name, as SQL after FROM. -#}
{% macro database_file_tables(source, path) %}
    {% if not files_matching([path]) %}
        {{ exceptions.raise_compiler_error("Source " ~ source ~ ": there is no file " ~ path ~ ".") }}
    {% endif %}
    {% if path.endswith('.duckdb') or not is_sqlite(path) %}
        {% do run_query(
            "attach if not exists " ~ sql_text(path) ~ " as input_" ~ source ~ " (read_only)"
        ) %}
        {{ return(attached_tables('input_' ~ source)) }}
    {% endif %}
    {% set tables = {} %}
    {% for name in sqlite_tables(path) %}
        {% do tables.update({name: sqlite_table(path, name)}) %}
    {% endfor %}
    {{ return(tables) }}
{% endmacro %}

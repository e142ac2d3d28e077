{#-
  As dbt-duckdb's own, but for tables whose meta names fsst_columns: texts that DuckDB compresses in
  this way, and not by a dictionary, as ids are. It does not try others then, which takes as long as
  writing; where a text is too long for it, the texts beside it are stored as they are. Not for tables
  with a contract, or sorted: of these it knows nothing.
-#}
{% macro duckdb__create_table_as(
    temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none
) -%}
    {%- set fsst_columns = [] if temporary else config.get('meta', {}).get('fsst_columns', []) -%}
    {%- if fsst_columns -%}
        {%- set columns = [] -%}
        {%- for row in run_query('describe ' ~ compiled_code) -%}
            {%- do columns.append(
                adapter.quote(row[0]) ~ ' ' ~ row[1]
                ~ (' using compression fsst' if row[0] in fsst_columns else '')
            ) -%}
        {%- endfor -%}
        create table {{ relation }} ({{ columns | join(', ') }});
        insert into {{ relation }}
        {{ compiled_code }}
    {%- else -%}
        {{ dbt.duckdb__create_table_as(
            temporary, relation, compiled_code, language, partitioned_by, sorted_by
        ) }}
    {%- endif -%}
{%- endmacro %}

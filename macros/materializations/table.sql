{#-
  As dbt-duckdb's own, in one statement in place of some ten: a new table is not made beside the old one,
  renamed and the old one dropped, because DuckDB replaces it within the transaction. There are hundreds
  of models, and most are small. Indexes, grants, constraints and comments are not used here.
-#}
{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if model.language == 'python' -%}
        {#- Python writes through a connection of its own, which does not see that the old one is gone. -#}
        {%- set new_relation = make_intermediate_relation(target_relation) -%}
        {{ drop_relation_if_exists(load_cached_relation(new_relation)) }}
        {%- call statement('main', language='python') -%}
            {{ create_table_as(False, new_relation, compiled_code, 'python') }}
        {%- endcall -%}
        {{ drop_relation_if_exists(existing) }}
        {% do adapter.rename_relation(new_relation, target_relation) %}
    {%- else -%}
        {%- if existing is not none and not existing.is_table -%}
            {% do adapter.drop_relation(existing) %}
        {%- endif -%}
        {%- call statement('main') -%}
            create or replace table {{ target_relation }} as (
                {{ compiled_code }}
            )
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

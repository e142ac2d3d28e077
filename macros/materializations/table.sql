{#-
  As dbt-duckdb's own, in one statement in place of some ten. A new table is not made beside the old one,
  to be renamed: DuckDB drops and makes tables within the transaction, so that the old one stays where the
  new one fails. There are hundreds of models, and most are small. Indexes, grants and comments are not
  used here; contracts are.
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
        {%- call statement('replace') -%}
            {{ drop_before_replacing(existing) }}
            alter table {{ new_relation }} rename to {{ adapter.quote(this.identifier) }};
        {%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}
            {{ drop_before_replacing(existing) }}
            {{ create_table_as(False, target_relation, compiled_code, 'sql') }}
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{#- SQL that drops what has the name of a model, to be run in one statement with what makes it. -#}
{% macro drop_before_replacing(existing) -%}
    {%- if existing is not none -%}
        drop {{ existing.type }} if exists {{ existing }} cascade;
    {%- endif -%}
{%- endmacro %}

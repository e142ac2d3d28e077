{#-
  What rows of incremental models follow from beside the rows that they are made of, seeds but by their
  files. Input paths and end_date are not in it: what they change is in the rows.
-#}
{% macro code_and_settings() %}
    {% set parts = [engine_version(), dbt_version] %}
    {% for name in setting_names() if name not in [
        'sources', 'ihc_database', 'files_path', 'demo_path', 'ihc_results_path', 'end_date',
        'path_summary_rows', 'recommendation_model', 'target_roas', 'raise_margin',
        'widest_interval_ratio', 'nurture_ratio', 'keep_generations'
    ] %}
        {% do parts.append(name ~ ' ' ~ var(name)) %}
    {% endfor %}
    {% for node in graph.nodes.values() if node.resource_type in ['model', 'seed'] %}
        {% do parts.append(node.unique_id ~ ' ' ~ node.checksum.checksum) %}
    {% endfor %}
    {% for name, macro in context['tributary'].items() %}
        {% do parts.append(macro.macro.macro_sql) %}
    {% endfor %}
    {{ return(local_md5(parts | sort | join('\n'))) }}
{% endmacro %}

{#-
  What rows of incremental models follow from beside the rows that they are made of, seeds but by their
  files.
-#}
{% macro code_and_settings() %}
    {% set parts = [engine_version(), dbt_version] %}
    {% for name in setting_names() if name not in settings_of_nothing_kept() %}
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

{#-
  Settings that no row of an incremental model follows from, but through the rows it is made of, as
  of input paths and end_date: others change what is computed anew in every build.
-#}
{% macro settings_of_nothing_kept() %}
    {{ return([
        'sources', 'ihc_database', 'files_path', 'demo_path', 'ihc_results_path', 'end_date',
        'markov_order', 'markov_max_order', 'include_open_journeys', 'path_summary_rows',
        'recommendation_model', 'target_roas', 'raise_margin', 'widest_interval_ratio',
        'nurture_ratio', 'warn_rejected_share', 'fail_rejected_share', 'warn_coverage_below',
        'fail_coverage_below', 'keep_generations'
    ]) }}
{% endmacro %}

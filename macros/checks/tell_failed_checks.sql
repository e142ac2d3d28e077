{#-
  dbt says of a data test how many rows it found. Of one that asks several things, this says which of
  them failed. Rows themselves are not shown: they may be personal data.
-#}
{% macro tell_failed_checks(results) %}
    {% for result in (results if execute else []) if (
        result.status in ['fail', 'warn']
        and result.node.name.startswith('checks_of_')
    ) %}
        {% for row in run_query(
            'select failed_check, count(*) from (' ~ result.node.compiled_code
            ~ ') as failures group by failed_check order by failed_check'
        ) %}
            {% do print(result.node.name ~ ": " ~ row[0] ~ ": rows that fail: " ~ row[1]) %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

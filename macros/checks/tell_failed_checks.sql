{#-
  dbt says of a data test how many rows it found. Of one that asks several things, this says which of
  them failed; of any other, what it asks and how to fix it, and what it names in `tells`, an expression
  over its rows, without what a terminal would obey. Rows themselves are not shown: they may be
  personal data.
-#}
{% macro tell_failed_checks(results) %}
    {% for result in (results if execute else []) if (
        result.status in ['fail', 'warn'] and result.node.resource_type == 'test'
    ) %}
        {% set node = result.node %}
        {% if node.name.startswith('checks_of_') %}
            {% for row in run_query(
                'select failed_check, count(*) from (' ~ node.compiled_code
                ~ ') as failures group by failed_check order by failed_check'
            ) %}
                {% do print(node.name ~ ": " ~ row[0] ~ ": rows that fail: " ~ row[1]) %}
            {% endfor %}
        {% else %}
            {% set tells = node.config.meta.get('tells') %}
            {% set told = query_column(
                'select distinct ' ~ on_one_line('(' ~ tells ~ ')') ~ ' as told from (' ~ node.compiled_code
                ~ ') as failures order by told limit 11'
            ) if tells else [] %}
            {% do print(
                node.name ~ ": " ~ told[:10] | join('; ') ~ (' …' if told[10:] else '')
                ~ ('. ' if told else '') ~ node.description | trim
            ) %}
        {% endif %}
    {% endfor %}
{% endmacro %}

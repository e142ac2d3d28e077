{#-
  Rows that fail one of several checks, and which: failed_check is its name or, without one, what it asks;
  failing_row is the row, or the key, as JSON. One data test asks them all, because each test costs dbt as
  much as a scan of a small table: those of one table (generic test `checks`), or of the tables of a folder
  that do not grow with traffic (tests/data_tests/checks_of_<folder>.sql).
-#}

{#- Of tables by name, each with a list of checks as the generic test has them. -#}
{% macro checks_of(tables) %}
{%- for table, each in tables.items() %}
{{ failures(ref(table), each, table ~ ': ') }}
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endmacro %}

{#- Of one table; what is said of a check begins with `prefix`. -#}
{% macro failures(relation, each, prefix='') %}
{%- for check in each %}
{%- for kind, given in check.items() %}
{%- if kind == 'primary_key' %}
    {%- set asks = given.columns | join(', ') %}
    {%- set failing = fails_primary_key(
        relation, given.columns, given.get('is_number', false)
    ) %}
{%- elif kind == 'foreign_key' %}
    {%- set asks = given.columns | join(', ') %}
    {%- set failing = fails_foreign_key(relation, given.columns, given.to) %}
{%- elif kind == 'holds' %}
    {%- set asks = given.expression | trim %}
    {%- set failing = fails_holds(relation, given.expression) %}
{%- elif kind == 'same_total' %}
    {%- set asks = given.expression | trim %}
    {%- set failing = fails_same_total(
        relation, given.expression, given.to, given.to_expression,
        given.get('to_condition', 'true'), given.get('attribution_model')
    ) %}
{%- else %}
    {{ exceptions.raise_compiler_error(
        'A check is ' ~ kind ~ '. Allowed: primary_key, foreign_key, holds, same_total.'
    ) }}
{%- endif %}
select
    {{ sql_text(prefix ~ (given.name or kind ~ ': ' ~ asks)) }} as failed_check,
    {{ row_as_json('failing') }} as failing_row
from (
    {{ failing }}
) as failing
{%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endmacro %}

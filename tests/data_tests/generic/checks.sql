{#-
  Fails for every row that fails one of several checks of a model, and says which: failed_check is its
  name or, without one, what it asks; failing_row is the row, or the key, as JSON. One test in place of
  several: each costs dbt as much as a scan of a small table.
-#}
{% test checks(model, each) %}
{%- for check in each %}
{%- for kind, given in check.items() %}
{%- if kind == 'primary_key' %}
    {%- set asks = given.columns | join(', ') %}
    {%- set failing = fails_primary_key(
        model, given.columns, given.get('is_number', false)
    ) %}
{%- elif kind == 'foreign_key' %}
    {%- set asks = given.columns | join(', ') %}
    {%- set failing = fails_foreign_key(model, given.columns, given.to) %}
{%- elif kind == 'holds' %}
    {%- set asks = given.expression | trim %}
    {%- set failing = fails_holds(model, given.expression) %}
{%- elif kind == 'same_total' %}
    {%- set asks = given.expression | trim %}
    {%- set failing = fails_same_total(
        model, given.expression, given.to, given.to_expression,
        given.get('to_condition', 'true'), given.get('attribution_model')
    ) %}
{%- else %}
    {{ exceptions.raise_compiler_error(
        'A check is ' ~ kind ~ '. Allowed: primary_key, foreign_key, holds, same_total.'
    ) }}
{%- endif %}
select
    {{ sql_text(given.name or kind ~ ': ' ~ asks) }} as failed_check,
    {{ row_as_json('failing') }} as failing_row
from (
    {{ failing }}
) as failing
{%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}

{#- Fails for every row for which the expression is not true; null is not true. -#}
{% test holds(model, expression) %}
select *
from {{ model }}
where ({{ expression }}) is not true
{% endtest %}

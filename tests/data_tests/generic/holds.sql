{#- Fails for every row for which the expression is not true; null is not true. -#}
{% test holds(model, expression) %}
{{ fails_holds(model, expression) }}
{% endtest %}

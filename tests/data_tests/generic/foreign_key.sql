{#- Fails for every row whose key columns, null included, have no row in the parent. -#}
{% test foreign_key(model, columns, to) %}
{{ fails_foreign_key(model, columns, to) }}
{% endtest %}

{#- Fails for every key that is not unique or not complete (any of its columns null). -#}
{% test primary_key(model, columns, is_number=false) %}
{{ fails_primary_key(model, columns, is_number) }}
{% endtest %}

{#- Fails for every row that fails one of several checks of a model (macros/checks/checks.sql). -#}
{% test checks(model, each) %}
{{ failures(model, each) }}
{% endtest %}

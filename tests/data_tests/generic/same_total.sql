{#-
  Fails where an aggregate of this model differs from an aggregate of another relation, or of its
  rows under a condition: what goes in comes out. Money is compared to the cent. Where an attribution
  model is named that is not computed, nothing goes in.
-#}
{% test same_total(
    model, expression, to, to_expression, to_condition='true', attribution_model=none
) %}
{{ fails_same_total(model, expression, to, to_expression, to_condition, attribution_model) }}
{% endtest %}

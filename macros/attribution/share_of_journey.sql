{#-
  A touch's share of its journey's weights, and of the weight of what else takes part in the journey;
  equal shares of the touches where weights add up to nothing. A journey is what has the same values in
  the given columns.
-#}
{% macro share_of_journey(weight, other_weight='0', journey='conversion_key') -%}
    coalesce(
            {{ weight }} / nullif(
                sum({{ weight }}) over (partition by {{ journey }}) + {{ other_weight }}, 0
            ),
            1 / cast(journey_length as double)
        )
{%- endmacro %}

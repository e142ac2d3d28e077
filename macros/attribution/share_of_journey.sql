{#- A touch's share of its journey's weights; equal shares where they add up to nothing. -#}
{% macro share_of_journey(weight) -%}
    coalesce(
            {{ weight }} / nullif(sum({{ weight }}) over (partition by source, conversion_id), 0),
            1 / cast(journey_length as double)
        )
{%- endmacro %}

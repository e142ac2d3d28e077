{#- The height of a piecewise linear curve at x, within the segment joined under the alias `segment`. -#}
{% macro interpolated(segment, x) -%}
    (
            {{ segment }}.from_membership + coalesce(
                ({{ segment }}.to_membership - {{ segment }}.from_membership)
                * ({{ x }} - {{ segment }}.from_hours)
                / ({{ segment }}.to_hours - {{ segment }}.from_hours),
                0.0
            )
        )
{%- endmacro %}

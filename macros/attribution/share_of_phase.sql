{#- A touch's share of its journey's membership in a phase; 0 where no touch belongs to the phase. -#}
{% macro share_of_phase(membership) -%}
    coalesce(
            {{ membership }} / nullif(
                sum({{ membership }}) over (partition by source, conversion_id), 0
            ),
            0
        )
{%- endmacro %}

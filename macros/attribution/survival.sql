{#- Conversions of one type that the survival model is fitted to, at most; more are sampled. -#}
{% macro survival_fitted_conversions() %}
    {{ return(20000) }}
{% endmacro %}

{#- Number of a bin of days, 5 % wide: as fine for minutes as for months. Less than a second is one. -#}
{% macro bin_of_days(days) -%}
    cast(floor(20 * ln(greatest({{ days }}, 1 / 86400.0))) as integer)
{%- endmacro %}

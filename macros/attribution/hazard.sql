{#-
  Decays that the hazard model can tell apart: mean lives in days, and whether what fades so slowly
  counts as baseline (interest) rather than as effect. Of what fades in sixty days too little is seen
  within a short lookback: it would take the place of effects.
-#}
{% macro hazard_decays() %}
    {% set decays = [
        {'days': 2, 'is_interest': false},
        {'days': 4, 'is_interest': false},
        {'days': 8, 'is_interest': false}
    ] %}
    {% set interest = [{'days': 60, 'is_interest': true}] %}
    {{ return(decays if lookback_days() and lookback_days() | float < 30 else decays + interest) }}
{% endmacro %}

{#- What is left of a touch after some days, for a mean life in days. -#}
{% macro faded(age_days, decay_days) -%}
    exp(-({{ age_days }}) / {{ decay_days }}.0)
{%- endmacro %}

{#- Days from a time to the end of its UTC day, with fractions: above 0, at most 1. -#}
{% macro rest_of_day(column) -%}
    (1.0 - {{ days_between("date_trunc('day', " ~ column ~ ")", column) }})
{%- endmacro %}

{#- Conversions of one type that the hazard model is fitted to, at most; more are sampled. -#}
{% macro hazard_fitted_conversions() %}
    {{ return(50000) }}
{% endmacro %}

{#- Moments of person-time that stand for all of it, from people and from touches, about. -#}
{% macro hazard_sampled_moments() %}
    {{ return(30000) }}
{% endmacro %}

{#- Nodes of Gauss-Legendre quadrature on [0, 1]: the same as in tributary.log_hazard. -#}
{% macro gauss_legendre_nodes() %}
    {{ return([
        {'place': 0.033765242898423975, 'weight': 0.08566224618958525},
        {'place': 0.16939530676686776, 'weight': 0.18038078652406947},
        {'place': 0.3806904069584015, 'weight': 0.23395696728634546},
        {'place': 0.6193095930415985, 'weight': 0.23395696728634546},
        {'place': 0.8306046932331322, 'weight': 0.18038078652406947},
        {'place': 0.966234757101576, 'weight': 0.08566224618958525}
    ]) }}
{% endmacro %}

{#- Days within which one touch can prompt another. -#}
{% macro prompt_window_days() %}
    {{ return(14) }}
{% endmacro %}

{#- How many touches are looked at, at most, for what comes shortly before and after. -#}
{% macro prompt_sampled_touches() %}
    {{ return(300000) }}
{% endmacro %}

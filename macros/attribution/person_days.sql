{#- Mean lives, in days, of the levels that the data-driven model sees. -#}
{% macro person_day_scales() %}
    {{ return([2, 8]) }}
{% endmacro %}

{#- Instants that the data-driven model draws from the time at risk, about: five for each conversion
    of the most frequent type, within these bounds. -#}
{% macro drawn_person_days() %}
    {{ return({'per_conversion': 5, 'least': 20000, 'most': 60000}) }}
{% endmacro %}

{#- Instants drawn from the time at risk of one person, at most. -#}
{% macro drawn_per_person() %}
    {{ return(8) }}
{% endmacro %}

{#- Moments drawn after the touches of one person, about, at most: each of them meets all touches
    before it, and somebody who calls ten thousand times must not cost a hundred million pairs. -#}
{% macro drawn_after_touches_per_person() %}
    {{ return(200) }}
{% endmacro %}

{#- Conversions of one type with a journey, and without one, that the data-driven model learns from,
    at most; more are sampled. -#}
{% macro learned_conversions() %}
    {{ return(20000) }}
{% endmacro %}

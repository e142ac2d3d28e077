{#- A number in (0, 1) that looks random and is always the same for the same text. -#}
{% macro hashed_uniform(text) -%}
    {{ return(adapter.dispatch('hashed_uniform', 'tributary')(text)) }}
{%- endmacro %}

{% macro default__hashed_uniform(text) -%}
    (((md5_number_lower({{ text }}) >> 12) + 0.5e0) / 4503599627370496e0)
{%- endmacro %}

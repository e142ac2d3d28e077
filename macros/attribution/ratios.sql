{#- Cost per order: spend / credited conversions; empty without conversions. -#}
{% macro cpo(spend, conversions) -%}
    cast({{ spend }} as double) / nullif({{ conversions }}, 0)
{%- endmacro %}

{#- Return on ad spend: credited revenue / spend; empty without spend. -#}
{% macro roas(revenue, spend) -%}
    {{ revenue }} / nullif(cast({{ spend }} as double), 0)
{%- endmacro %}

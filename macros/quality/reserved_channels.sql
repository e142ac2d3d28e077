{#- Names that the warehouse itself gives: pseudo-states of paths and rows that no channel owns. -#}
{% macro reserved_channels() -%}
    ('(start)', '(conversion)', '(null)', '(unattributed)', '(baseline)')
{%- endmacro %}

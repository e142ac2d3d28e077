{#-
  A credit, or conversions: what is less than a billionth of one is what rounding and fading leave, and
  nothing. No ratio to it says anything; that to 0 is empty.
-#}
{% macro or_nothing(conversions) -%}
    case when {{ conversions }} < 1e-9 then 0.0 else {{ conversions }} end
{%- endmacro %}

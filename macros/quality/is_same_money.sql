{#-
  Are two amounts the same to the cent? Beyond 5e10 the 13 digits that sums of doubles keep decide.
-#}
{% macro is_same_money(amount, expected) -%}
    abs({{ amount }} - {{ expected }}) < greatest(0.005, 1e-13 * abs({{ expected }}))
{%- endmacro %}

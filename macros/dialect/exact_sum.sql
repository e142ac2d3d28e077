{#-
  Aggregate: sum of numbers that does not depend on the order in which they are added, as sums of
  doubles do in their last digits. What is fitted to a sum is otherwise another one with every build.
  Numbers are taken to 18 decimals; the sum must stay below 10^20.
-#}
{% macro exact_sum(value) -%}
    {{ return(adapter.dispatch('exact_sum', 'tributary')(value)) }}
{%- endmacro %}

{% macro default__exact_sum(value) -%}
    cast(sum(cast({{ value }} as decimal(38, 18))) as double)
{%- endmacro %}

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

{#-
  The same of numbers between -9 and 9, such as credits and what is left of touches: as whole numbers
  of 18 decimals they are added up in half of the time.
-#}
{% macro exact_sum_of_parts(value) -%}
    {{ return(adapter.dispatch('exact_sum_of_parts', 'tributary')(value)) }}
{%- endmacro %}

{% macro default__exact_sum_of_parts(value) -%}
    (cast(sum(cast(({{ value }}) * 1e18 as bigint)) as double) / 1e18)
{%- endmacro %}

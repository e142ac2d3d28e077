{#-
  Which of several rows with one id is used, first: the one loaded last, by what the row says of its
  load, else by the name of its file. Where neither tells them apart the earliest event, and after
  that the content: the choice depends on the rows alone and not on their order within a file.
-#}
{% macro delivery_order(entity) -%}
    {{ (
        ['loaded_at desc nulls last', 'loaded_from desc nulls last'] + entities()[entity].content
    ) | join(', ') }}
{%- endmacro %}

{#- When a row was delivered: what delivery_order asks before the event, as one value to compare. -#}
{% macro delivered_when() -%}
    {{ one_value([
        "coalesce(loaded_at, timestamp '0001-01-01')", "coalesce(loaded_from, '')"
    ]) }}
{%- endmacro %}

{#-
  The person_id of an entity that nothing ties to another: a cookie keeps the id that the source
  gave it, everything else is named by what it is.
-#}
{% macro own_person_id(entity, key) -%}
    {%- if entity == 'user' -%}
        {{ key }}
    {%- else -%}
        concat('{{ entity }}:', {{ key }})
    {%- endif -%}
{%- endmacro %}

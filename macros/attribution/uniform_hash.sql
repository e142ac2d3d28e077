{#- A number in (0, 1), as good as drawn at random, that follows from a purpose and columns alone. -#}
{% macro uniform_hash(purpose, columns) -%}
    {%- set texts = ["'" ~ purpose ~ "'"] -%}
    {%- for column in columns -%}
        {%- do texts.append("'/'") -%}
        {%- do texts.append("cast(" ~ column ~ " as varchar)") -%}
    {%- endfor -%}
    {{ hashed_uniform('concat(' ~ texts | join(', ') ~ ')') }}
{%- endmacro %}

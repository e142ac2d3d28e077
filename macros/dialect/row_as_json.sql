{#- A whole row of a relation as one value. -#}
{% macro whole_row(relation) -%}
    {{ return(adapter.dispatch('whole_row', 'tributary')(relation)) }}
{%- endmacro %}

{% macro default__whole_row(relation) -%}
    {{ relation }}
{%- endmacro %}

{#- A whole input row as JSON text, kept so that a rejected row can be read as it came. -#}
{% macro row_as_json(relation) -%}
    {{ return(adapter.dispatch('row_as_json', 'tributary')(relation)) }}
{%- endmacro %}

{% macro default__row_as_json(relation) -%}
    cast(to_json({{ relation }}) as varchar)
{%- endmacro %}

{#- Some columns of a row as JSON text. -#}
{% macro columns_as_json(columns) -%}
    {{ return(adapter.dispatch('columns_as_json', 'tributary')(columns)) }}
{%- endmacro %}

{% macro default__columns_as_json(columns) -%}
    cast(json_object(
        {%- for column in columns %}'{{ column }}', {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as varchar)
{%- endmacro %}

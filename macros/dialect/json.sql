{#- JSON text of an object, from names to SQL expressions. -#}
{% macro json_object(entries) -%}
    {{ return(adapter.dispatch('json_object', 'tributary')(entries)) }}
{%- endmacro %}

{% macro default__json_object(entries) -%}
    cast(json_object(
        {%- for name, value in entries.items() %}
                    '{{ name }}', {{ value }}{{ ',' if not loop.last }}
        {%- endfor %}
                ) as varchar)
{%- endmacro %}

{#- A text of a JSON object; null where it is empty or absent. -#}
{% macro json_text(column, name) -%}
    {{ return(adapter.dispatch('json_text', 'tributary')(column, name)) }}
{%- endmacro %}

{% macro default__json_text(column, name) -%}
    nullif(json_extract_string({{ column }}, '$.{{ name }}'), '')
{%- endmacro %}

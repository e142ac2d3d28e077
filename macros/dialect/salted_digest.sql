{#- A digest of the id or contact of a source. Without the salt, common ids could be looked up. -#}
{% macro salted_digest(salt, source, value) -%}
    {{ return(adapter.dispatch('salted_digest', 'tributary')(salt, source, value)) }}
{%- endmacro %}

{% macro default__salted_digest(salt, source, value) -%}
    md5(concat({{ salt }}, chr(31), {{ source }}, chr(31), {{ value }}))
{%- endmacro %}

{#- Text in the composed normal form of Unicode (NFC): one way to write each letter with its marks. -#}
{% macro composed_text(text) -%}
    {{ return(adapter.dispatch('composed_text', 'tributary')(text)) }}
{%- endmacro %}

{% macro default__composed_text(text) -%}
    nfc_normalize({{ text }})
{%- endmacro %}

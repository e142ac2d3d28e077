{#- A number in (0, 1) that follows from a text alone and is as good as drawn at random. -#}
{% macro uniform_hash(text) -%}
    {{ return(adapter.dispatch('uniform_hash', 'tributary')(text)) }}
{%- endmacro %}

{% macro default__uniform_hash(text) -%}
    ((cast(concat('0x', substr(md5({{ text }}), 1, 12)) as bigint) + 0.5e0) / 281474976710656e0)
{%- endmacro %}

{% macro spark__uniform_hash(text) -%}
    ((cast(conv(substr(md5({{ text }}), 1, 12), 16, 10) as bigint) + 0.5d) / 281474976710656d)
{%- endmacro %}

{#- A number in (0, 1), as good as drawn at random, that follows from a purpose and columns alone. -#}
{% macro uniform_hash(purpose, columns) -%}
    {%- set texts = ["'" ~ purpose ~ "'"] -%}
    {%- for column in columns -%}
        {%- do texts.append("'/'") -%}
        {%- do texts.append("cast(" ~ column ~ " as varchar)") -%}
    {%- endfor -%}
    {{ return(adapter.dispatch('uniform_of_md5', 'tributary')('md5(concat(' ~ texts | join(', ') ~ '))')) }}
{%- endmacro %}

{#- The first 48 bits of an MD5 sum, in hexadecimal digits, as a number in (0, 1). -#}
{% macro default__uniform_of_md5(md5) -%}
    ((cast(concat('0x', substr({{ md5 }}, 1, 12)) as bigint) + 0.5e0) / 281474976710656e0)
{%- endmacro %}

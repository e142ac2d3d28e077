{#- How raw values are read, the same in every source. What cannot be read becomes null. -#}

{#- Text without surrounding blanks; empty text is null. -#}
{% macro to_text(column) -%}
    nullif(trim(cast({{ column }} as varchar)), '')
{%- endmacro %}

{#- Money. Empty counts as 0; what is neither empty nor a finite number is null. -#}
{% macro to_amount(column) -%}
    case
        when {{ to_text(column) }} is null then 0
        else try_cast({{ column }} as decimal(28, 10))
    end
{%- endmacro %}

{#- A yes/no flag from true/false, yes/no or a number (0 is no); what is none of these is null. -#}
{% macro to_flag(column) -%}
    coalesce(try_cast({{ column }} as boolean), try_cast({{ column }} as double) != 0)
{%- endmacro %}

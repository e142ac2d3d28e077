{#- How raw values are read, the same in every source. What cannot be read becomes null. -#}

{#-
  Text without surrounding white space; empty text is null. What looks the same is the same: letters
  with marks are of one form (NFC), whichever the exporting system writes.
-#}
{% macro to_text(column) -%}
    {%- set text = 'cast(' ~ column ~ ' as varchar)' -%}
    {#- Trimming costs three times as much as looking whether there is anything to trim. -#}
    case
        when {{ text }} >= '!' and right({{ text }}, 1) >= '!' then {{ composed_text(text) }}
        else nullif(trim({{ composed_text(text) }}, chr(9) || chr(10) || chr(13) || ' '), '')
    end
{%- endmacro %}

{#- Money. Empty counts as 0; what is neither empty nor a finite number is null. -#}
{% macro to_amount(column) -%}
    case
        when {{ to_text(column) }} is null then 0
        else try_cast({{ column }} as decimal(28, 10))
    end
{%- endmacro %}

{#- Seconds from a number of them, m:ss or h:mm:ss; what is none of these is null. -#}
{% macro to_seconds(column) -%}
    {%- set text = 'trim(cast(' ~ column ~ ' as varchar))' -%}
    case
        when regexp_full_match({{ text }}, '([0-9]+:)?[0-9]{1,2}:[0-9]{2}([.][0-9]+)?')
            then 3600 * coalesce(try_cast(split_part({{ text }}, ':', -3) as double), 0)
                + 60 * cast(split_part({{ text }}, ':', -2) as double)
                + cast(split_part({{ text }}, ':', -1) as double)
        else try_cast({{ text }} as double)
    end
{%- endmacro %}

{#- A yes/no flag from true/false, yes/no or a number (0 is no); what is none of these is null. -#}
{% macro to_flag(column) -%}
    case
        when isnan(try_cast({{ column }} as double)) then null
        else coalesce(
            try_cast({{ column }} as double) != 0,
            try_cast(cast({{ column }} as varchar) as boolean)
        )
    end
{%- endmacro %}

{#- Consent: yes or, whatever else is written, no; null where nothing is. -#}
{% macro to_consent(column) -%}
    case
        when {{ to_text(column) }} is not null
            then lower({{ to_text(column) }}) in (
                'true', 't', 'yes', 'y', '1', 'given', 'granted', 'accepted', 'allowed', 'opt-in',
                'opt_in', 'optin', 'opted-in', 'opted_in'
            )
    end
{%- endmacro %}

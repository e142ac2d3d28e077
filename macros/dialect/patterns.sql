{#- Regular expressions that somebody wrote, in any case of letters. -#}

{#- Does the whole text match? -#}
{% macro matches_pattern(column, pattern) -%}
    {{ return(adapter.dispatch('matches_pattern', 'tributary')(column, pattern)) }}
{%- endmacro %}

{% macro default__matches_pattern(column, pattern) -%}
    regexp_full_match({{ column }}, {{ sql_text(pattern) }}, 'is')
{%- endmacro %}

{#- Does the whole of one of the words match? Words have a space between. -#}
{% macro word_matches_pattern(column, pattern) -%}
    {{ return(adapter.dispatch('word_matches_pattern', 'tributary')(column, pattern)) }}
{%- endmacro %}

{% macro default__word_matches_pattern(column, pattern) -%}
    regexp_matches({{ column }}, {{ sql_text('(^| )(' ~ pattern ~ ')( |$)') }}, 'is')
{%- endmacro %}

{#- Is the text, a column, a regular expression, alone and within others? -#}
{% macro is_pattern(column) -%}
    {{ return(adapter.dispatch('is_pattern', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__is_pattern(column) -%}
    (try(regexp_full_match('', {{ column }})) is not null
        and try(regexp_full_match('', concat('(', {{ column }}, ')'))) is not null)
{%- endmacro %}

{#- A pattern that matches just this text. -#}
{% macro pattern_of(column) -%}
    {{ return(adapter.dispatch('pattern_of', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__pattern_of(column) -%}
    regexp_replace({{ column }}, '([\\.^$|?*+(){}\[\]])', '\\\1', 'g')
{%- endmacro %}

{#- A value of a CSV file, in quotes; nothing where it is null. -#}
{% macro csv_value(value) -%}
    {{ return(adapter.dispatch('csv_value', 'tributary')(value)) }}
{%- endmacro %}

{% macro default__csv_value(value) -%}
    coalesce(concat('"', replace({{ value }}, '"', '""'), '"'), '')
{%- endmacro %}

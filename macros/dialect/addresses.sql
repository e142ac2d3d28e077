{#- Addresses of pages as browsers and advertisers write them, broken ones included. -#}

{#-
  Value of a parameter of an address, decoded; empty where it is absent. What is not percent-encoded
  UTF-8 stays as it is written. The first of several counts.
-#}
{% macro address_parameter(address, name) -%}
    {{ return(adapter.dispatch('address_parameter', 'tributary')(address, name)) }}
{%- endmacro %}

{% macro default__address_parameter(address, name) -%}
    {%- set written -%}
        left(regexp_extract(
            {{ address }}, '(?i)^[^?#]*[?](?:[^#]*?&)??(?:amp;)?{{ name }}=([^&#]*)', 1
        ), 1000)
    {%- endset -%}
    coalesce(try(url_decode(replace({{ written }}, '+', ' '))), {{ written }})
{%- endmacro %}

{#-
  Which of some parameters an address has a value for: their names in lower case, in alphabetical
  order, with a space between; empty where it has none.
-#}
{% macro address_parameters_among(address, names) -%}
    {{ return(adapter.dispatch('address_parameters_among', 'tributary')(address, names)) }}
{%- endmacro %}

{% macro default__address_parameters_among(address, names) -%}
    {%- set escaped = [] -%}
    {%- for name in names -%}
        {%- do escaped.append(modules.re.escape(name)) -%}
    {%- endfor -%}
    array_to_string(list_sort(list_distinct(regexp_extract_all(
        lower(regexp_extract({{ address }}, '[?]([^#]*)', 0)),
        '[?&](?:amp;)?({{ escaped | join("|") | lower }})=[^&]', 1
    ))), ' ')
{%- endmacro %}

{#- Host of an address in lower case, without www; empty where it has none. -#}
{% macro address_host(address) -%}
    {{ return(adapter.dispatch('address_host', 'tributary')(address)) }}
{%- endmacro %}

{% macro default__address_host(address) -%}
    regexp_extract(
        lower(left({{ address }}, 1000)),
        '^\s*(?:(?:[a-z][a-z0-9+.-]*:)?//)?(?:[^/?#@]*@)?(?:www[.])?([^/?#:@\s]+[.][^/?#:@\s]*[^/?#:@\s.])', 1
    )
{%- endmacro %}

{#- Text on one line: control characters and white space are single spaces. -#}
{% macro on_one_line(column) -%}
    {{ return(adapter.dispatch('on_one_line', 'tributary')(column)) }}
{%- endmacro %}

{% macro default__on_one_line(column) -%}
    trim(regexp_replace({{ column }}, '[\s[:cntrl:]]+', ' ', 'g'))
{%- endmacro %}

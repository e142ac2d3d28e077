{#- A list of some columns, in their order, without those that are null. -#}
{% macro list_of_known(columns) -%}
    {{ return(adapter.dispatch('list_of_known', 'tributary')(columns)) }}
{%- endmacro %}

{% macro default__list_of_known(columns) -%}
    list_filter([{{ columns | join(', ') }}], lambda each: each is not null)
{%- endmacro %}

{#-
  Aggregate: a column of whole numbers from 0 to 999,999 as a list, in the order of another of whole
  numbers. Both are packed into one number, which sorts in a quarter of the time.
-#}
{% macro ordered_list_of_numbers(column, order) -%}
    {{ return(adapter.dispatch('ordered_list_of_numbers', 'tributary')(column, order)) }}
{%- endmacro %}

{% macro default__ordered_list_of_numbers(column, order) -%}
    list_transform(
        list_sort(list({{ order }} * 1000000::bigint + {{ column }})),
        lambda each: cast(each % 1000000 as integer)
    )
{%- endmacro %}

{#- A list of numbers from 1 as a list of what stands at these places of another list. -#}
{% macro named_list(numbers, names) -%}
    {{ return(adapter.dispatch('named_list', 'tributary')(numbers, names)) }}
{%- endmacro %}

{% macro default__named_list(numbers, names) -%}
    list_transform({{ numbers }}, lambda each: {{ names }}[each])
{%- endmacro %}

{#-
  Aggregate: the values of a column as a list, in the order of others, which are known. A list that
  is sorted when it is whole costs less than half of an aggregate in order.
-#}
{% macro ordered_list(column, order) -%}
    {{ return(adapter.dispatch('ordered_list', 'tributary')(column, order)) }}
{%- endmacro %}

{% macro default__ordered_list(column, order) -%}
    list_transform(
        list_sort(list(row(row({{ order }}), {{ column }}))), lambda each: each[2]
    )
{%- endmacro %}

{#- The last values of a list, at most so many. -#}
{% macro last_of_list(list, count) -%}
    {{ return(adapter.dispatch('last_of_list', 'tributary')(list, count)) }}
{%- endmacro %}

{% macro default__last_of_list(list, count) -%}
    {{ list }}[-{{ count }}:]
{%- endmacro %}

{#- A list as text for display. -#}
{% macro displayed_list(list) -%}
    {{ return(adapter.dispatch('displayed_list', 'tributary')(list)) }}
{%- endmacro %}

{% macro default__displayed_list(list) -%}
    array_to_string({{ list }}, ' > ')
{%- endmacro %}

{#- How many values a list has. -#}
{% macro length_of_list(list) -%}
    {{ return(adapter.dispatch('length_of_list', 'tributary')(list)) }}
{%- endmacro %}

{% macro default__length_of_list(list) -%}
    len({{ list }})
{%- endmacro %}

{#- One row per value of a list, in place of a column of the select. -#}
{% macro each_of_list(list) -%}
    {{ return(adapter.dispatch('each_of_list', 'tributary')(list)) }}
{%- endmacro %}

{% macro default__each_of_list(list) -%}
    unnest({{ list }})
{%- endmacro %}

{#- The numbers of a list's values, from 1, as a list. -#}
{% macro places_of_list(list) -%}
    {{ return(adapter.dispatch('places_of_list', 'tributary')(list)) }}
{%- endmacro %}

{% macro default__places_of_list(list) -%}
    range(1, len({{ list }}) + 1)
{%- endmacro %}

{#- All whole numbers from one to another, as a list. -#}
{% macro whole_numbers(first, last) -%}
    {{ return(adapter.dispatch('whole_numbers', 'tributary')(first, last)) }}
{%- endmacro %}

{% macro default__whole_numbers(first, last) -%}
    range(cast({{ first }} as bigint), cast({{ last }} as bigint) + 1)
{%- endmacro %}

{#- The value of a list with a number of at least 1; null after its end. -#}
{% macro value_of_list(list, place) -%}
    {{ return(adapter.dispatch('value_of_list', 'tributary')(list, place)) }}
{%- endmacro %}

{% macro default__value_of_list(list, place) -%}
    {{ list }}[{{ place }}]
{%- endmacro %}

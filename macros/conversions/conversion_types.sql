{#-
  Conversion types that are rows of the seed conversion_types, read when the models that use them are
  compiled, after the seed is loaded. A row that cannot be used stops the build and is named.
-#}

{#- The events that the warehouse makes of what sources deliver, and the entity each comes from. -#}
{% macro built_in_events() %}
    {{ return(['contact', 'booked', 'attended', 'paid']) }}
{% endmacro %}

{#- The columns of int_events that an event_filter may name. -#}
{% macro event_filter_columns() %}
    {{ return([
        'source', 'event_id', 'entity', 'entity_key', 'occurred_at', 'amount', 'status',
        'revenue_center', 'duration_seconds'
    ]) }}
{% endmacro %}

{#- The enabled rows of the seed, checked. -#}
{% macro conversion_type_rows() %}
    {% set delivered = [] %}
    {% set delivered_conversions = ref('int_delivered_conversions') %}
    {% if execute and load_relation(delivered_conversions) is not none %}
        {% for row in run_query(
            'select distinct conversion_type from ' ~ delivered_conversions ~ ' order by 1'
        ) %}
            {% do delivered.append(row[0]) %}
        {% endfor %}
    {% endif %}
    {% set rows = [] %}
    {% for row in seed_rows('conversion_types', [
        'conversion_type', 'event', 'event_filter', 'occurrence', 'value', 'value_days', 'is_enabled'
    ]) if row.is_enabled %}
        {% do check_conversion_type(row, delivered) %}
        {% do rows.append(row) %}
    {% endfor %}
    {{ return(rows) }}
{% endmacro %}

{% macro check_conversion_type(row, delivered) %}
    {% if not modules.re.fullmatch('[a-z][a-z0-9_]*', row.conversion_type or '') %}
        {{ conversion_type_error(
            row, 'conversion_type', 'small letters, digits and underscores, a letter first'
        ) }}
    {% endif %}
    {% if row.conversion_type in delivered %}
        {{ exceptions.raise_compiler_error(
            "The row " ~ row.conversion_type ~ " of the seed conversion_types has the name of a "
            ~ "conversion type that a source delivers in its conversions. Give the row another name, "
            ~ "or disable it: delivered types are reported as they are."
        ) }}
    {% endif %}
    {% set events = built_in_events() + delivered %}
    {% if row.event not in events %}
        {{ conversion_type_error(
            row, 'event', events | join(', ')
            ~ (' (the last ones are delivered conversion types)' if delivered else '')
        ) }}
    {% endif %}
    {% for column, allowed in {
        'occurrence': ['first', 'every'], 'value': ['none', 'event', 'net_revenue']
    }.items() %}
        {% if row[column] not in allowed %}
            {{ conversion_type_error(row, column, allowed | join(', ')) }}
        {% endif %}
    {% endfor %}
    {% if row.value_days is not none and (
        row.value != 'net_revenue' or not 1 <= row.value_days <= 99999
    ) %}
        {{ conversion_type_error(
            row, 'value_days',
            'a whole number from 1 to 99999 where the value is net_revenue, and empty elsewhere'
        ) }}
    {% endif %}
    {% do check_event_filter(row) %}
{% endmacro %}

{#- Only words of known columns, so that a row can neither misspell one nor do anything else. -#}
{% macro check_event_filter(row) %}
    {% set words = event_filter_columns() + [
        'and', 'or', 'not', 'in', 'is', 'null', 'between', 'like', 'lower', 'coalesce',
        'true', 'false', 'date', 'timestamp'
    ] %}
    {% set filter = row.event_filter | default('', true) | string %}
    {% set rest = modules.re.sub("'[^']*'", ' ', filter) %}
    {% set is_open = rest.count('(') != rest.count(')') or '--' in rest %}
    {% set rest = modules.re.sub('\\b[0-9]+([.][0-9]+)?\\b|[-+*/()<>=!,]', ' ', rest) %}
    {% set unknown = rest.lower().split() | reject('in', words) | list %}
    {% set fault = 'it has other words' if unknown else 'a parenthesis or comment is open' if is_open
        else statement_fault('select 1 from (' ~ event_to_filter() ~ ') where ' ~ filter) if filter %}
    {% if fault %}
        {{ conversion_type_error(
            row, 'event_filter',
            "a SQL condition of numbers, 'texts', + - * / ( ) < > = != and the words "
            ~ words | join(', ') ~ ". What is wrong: " ~ fault
        ) }}
    {% endif %}
{% endmacro %}

{#- An event to try a condition on, in the types of int_events; its texts are no numbers. -#}
{% macro event_to_filter() %}
    {% set types = {
        'occurred_at': "timestamp '2024-01-01 12:00:00'",
        'amount': 'cast(1 as decimal(28, 10))',
        'duration_seconds': 'cast(1 as double)'
    } %}
    {% set columns = [] %}
    {% for column in event_filter_columns() %}
        {% do columns.append(types.get(column, "'text'") ~ ' as ' ~ column) %}
    {% endfor %}
    {{ return('select ' ~ columns | join(', ')) }}
{% endmacro %}

{% macro conversion_type_error(row, column, allowed) %}
    {{ exceptions.raise_compiler_error(
        "The row " ~ row.conversion_type ~ " of the seed conversion_types has the " ~ column ~ " '"
        ~ (row[column] if row[column] is not none else '') ~ "'. Allowed: " ~ allowed ~ "."
    ) }}
{% endmacro %}

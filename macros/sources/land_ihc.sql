{#- The SQLite database of the attribution challenge: session_sources, conversions, session_costs. -#}
{% macro land_ihc() %}
    {% set path = var('ihc_database') or env_var('TRIBUTARY_IHC_DATABASE', '') %}
    {% set how = "Give it as --vars '{ihc_database: PATH}' or in TRIBUTARY_IHC_DATABASE." %}
    {% if not path %}
        {{ exceptions.raise_compiler_error("Source ihc: no SQLite database is named. " ~ how) }}
    {% endif %}
    {% if not files_matching([path]) %}
        {{ exceptions.raise_compiler_error("Source ihc: there is no file " ~ path ~ ". " ~ how) }}
    {% endif %}
    {% if not is_sqlite(path) %}
        {{ exceptions.raise_compiler_error("Source ihc: " ~ path ~ " is not a SQLite database. " ~ how) }}
    {% endif %}

    {% set text = {'kind': 'text', 'required': true} %}
    {% set number = {'kind': 'number', 'required': true} %}
    {% set tables = {
        'session_sources': {
            'session_id': text, 'user_id': text, 'event_date': text, 'event_time': text,
            'channel_name': text, 'holder_engagement': number, 'closer_engagement': number,
            'impression_interaction': number
        },
        'conversions': {
            'conv_id': text, 'user_id': text, 'conv_date': text, 'conv_time': text,
            'revenue': number
        },
        'session_costs': {'session_id': text, 'cost': number}
    } %}
    {% set found = sqlite_tables(path) %}
    {% for table, columns in tables.items() %}
        {% if table not in found %}
            {{ exceptions.raise_compiler_error(
                "Source ihc: " ~ path ~ " has no table " ~ table ~ ". It has: "
                ~ (found | join(', ') or 'none') ~ ". Needed: " ~ tables.keys() | join(', ') ~ "."
            ) }}
        {% endif %}
        {% do land_entity(
            'ihc', table, sqlite_table(path, table), columns, "table " ~ table ~ " of " ~ path
        ) %}
    {% endfor %}
{% endmacro %}

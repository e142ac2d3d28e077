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
    {#- A large file is not read for its header; it fails as clearly when it is scanned. -#}
    {% set blob = "read_blob(" ~ sql_text(path) ~ ")" %}
    {% if query_column("select size from " ~ blob)[0] < 100000000 and not query_column(
        "select size >= 16 and content[1:16] = 'SQLite format 3\\x00'::blob from " ~ blob
    )[0] %}
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
    {% do run_query('install sqlite') %}
    {% do run_query('load sqlite') %}
    {#- SQLite columns hold values of any type: read as text, they are cast row by row in staging. -#}
    {% do run_query('set global sqlite_all_varchar = true') %}
    {% set found = query_column(
        "select lower(name) from sqlite_scan(" ~ sql_text(path) ~ ", 'sqlite_master')"
        ~ " where type in ('table', 'view') order by name"
    ) %}
    {% for table, columns in tables.items() %}
        {% if table not in found %}
            {{ exceptions.raise_compiler_error(
                "Source ihc: " ~ path ~ " has no table " ~ table ~ ". It has: "
                ~ (found | join(', ') or 'none') ~ ". Needed: " ~ tables.keys() | join(', ') ~ "."
            ) }}
        {% endif %}
        {% do land_entity(
            'ihc', table, "sqlite_scan(" ~ sql_text(path) ~ ", " ~ sql_text(table) ~ ")",
            columns, "table " ~ table ~ " of " ~ path
        ) %}
    {% endfor %}
{% endmacro %}

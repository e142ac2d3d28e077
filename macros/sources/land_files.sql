{#- A user's own data: a folder of CSV or Parquet files, or a database. -#}
{% macro land_files() %}
    {% set folder = var('files_path') or env_var('TRIBUTARY_FILES', '') %}
    {% if not folder %}
        {{ exceptions.raise_compiler_error(
            "Source files: no folder or database is named. Give it as --vars '{files_path: DIR}'"
            ~ " or in TRIBUTARY_FILES."
        ) }}
    {% endif %}
    {% do land_folder('files', folder, "Put it there, or name another folder in files_path.") %}
    {% do land_experiments('files', folder) %}
{% endmacro %}

{#-
  Lift tests, which may be absent. They are few and written by hand, and each of them moves money: one
  that cannot be read is an error that names it, not a row to be left out.
-#}
{% macro land_experiments(source, folder) %}
    {% set columns = {
        'channel': {'kind': 'text', 'required': true},
        'kind': {'kind': 'text', 'required': true},
        'start_date': {'kind': 'time', 'required': true},
        'end_date': {'kind': 'time', 'required': true},
        'lift': {'kind': 'number', 'required': true},
        'std_error': {'kind': 'number', 'required': true},
        'conversion_type': {'kind': 'text', 'required': false}
    } %}
    {% set files = entity_input(source, folder, 'experiments') %}
    {% if not files %}
        {{ return(land_nothing(source, 'experiments', columns)) }}
    {% endif %}
    {% for file in files.names %}
        {% do check_columns(source, columns_of(files.relations[file]), columns, file) %}
        {% do check_experiments(source, file, files.relations[file], columns) %}
    {% endfor %}
    {% do land_entity(
        source, 'experiments', files.relation, columns, files.names | join(', ')
    ) %}
{% endmacro %}

{% macro check_experiments(source, file, relation, columns) %}
    {% set start_date = 'cast(' ~ to_utc_timestamp('start_date') ~ ' as date)' %}
    {% set end_date = 'cast(' ~ to_utc_timestamp('end_date') ~ ' as date)' %}
    {% set lift = 'try_cast(lift as double)' %}
    {% set std_error = 'try_cast(std_error as double)' %}
    {% set problems = {
        to_text('channel') ~ ' is null': 'it names no channel',
        "coalesce(lower(" ~ to_text('kind') ~ "), '') not in ('holdout', 'geo', 'ghost')":
            'its kind is none of holdout, geo, ghost',
        start_date ~ ' is null or ' ~ end_date ~ ' is null':
            'start_date or end_date cannot be read; write them as YYYY-MM-DD',
        start_date ~ ' > ' ~ end_date: 'it ends before it starts',
        'coalesce(not isfinite(' ~ lift ~ '), true)': 'lift is no finite number',
        'coalesce(not (isfinite(' ~ std_error ~ ') and ' ~ std_error ~ ' > 0), true)':
            'std_error is no positive number'
    } %}
    {% set cases = [] %}
    {% for condition, problem in problems.items() %}
        {% do cases.append('when ' ~ condition ~ ' then ' ~ sql_text(problem)) %}
    {% endfor %}
    {% for row in run_query(
        'select row_text, problem from (select ' ~ row_as_json('experiments') ~ ' as row_text, case '
        ~ cases | join(' ') ~ ' end as problem from ' ~ relation ~ ' as experiments) as checked'
        ~ ' where problem is not null order by row_text limit 1'
    ) %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ file ~ " has an experiment that cannot be used: "
            ~ row[1] ~ ". The row: " ~ row[0]
        ) }}
    {% endfor %}
{% endmacro %}

{#- Lands every entity of a folder, or of a database whose tables are named like the entities. -#}
{% macro land_folder(source, folder, advice) %}
    {% do run_query(
        "create or replace table raw_" ~ source ~ ".malformed_rows ("
        ~ "entity varchar, loaded_from varchar, line bigint, problem varchar, line_text varchar)"
    ) %}
    {% do forget_session_files(source) %}
    {% for entity, contract in folder_contract().items() %}
        {% set files = entity_input(source, folder, entity) %}
        {% if files %}
            {% if source != 'demo' and entity in ['calls', 'customers', 'identity_links'] %}
                {% do check_hash_key(source, entity) %}
            {% endif %}
            {% set columns = {} %}
            {% for file in files.names %}
                {% set found = files.get('columns', {}).get(file) or columns_of(files.relations[file]) %}
                {% do check_columns(source, found, contract.columns, file) %}
                {% do columns.update({file: found}) %}
            {% endfor %}
            {% do land_entity(
                source, entity, files.relation, contract.columns, files.names | join(', '), columns
            ) %}
            {% if entity == 'sessions' and files.are_files %}
                {% do note_session_files(source, files) %}
            {% endif %}
        {% elif not contract.is_required %}
            {% if entity == 'spend' %}
                {% do log("Source " ~ source ~ ": no spend files in " ~ folder ~ ": spend is 0", info=true) %}
            {% endif %}
            {% do land_nothing(source, entity, contract.columns) %}
        {% else %}
            {{ exceptions.raise_compiler_error(
                "Source " ~ source ~ ": there is no table or file for " ~ entity ~ " in " ~ folder
                ~ ". Looked for a table " ~ entity ~ " where that is a database, else for "
                ~ entity ~ ".csv, " ~ entity ~ ".parquet, " ~ entity ~ "_*.csv, " ~ entity
                ~ "_*.parquet and both kinds in " ~ entity ~ "/. " ~ advice
            ) }}
        {% endif %}
    {% endfor %}
{% endmacro %}

{#-
  Contacts of real people need a secret for their hashes. Only whether there is one is looked at here,
  and only while running: what Jinja reads while parsing, dbt keeps.
-#}
{% macro check_hash_key(source, entity) %}
    {% set key_length = env_var('TRIBUTARY_HASH_KEY', '') | trim | length %}
    {% if key_length < 16 %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ " delivers " ~ entity ~ ", whose phone numbers and e-mail addresses"
            ~ " leave the schema restricted only as keyed hashes. TRIBUTARY_HASH_KEY "
            ~ ("is not set" if key_length == 0 else "is shorter than 16 characters")
            ~ ". Make a key once, keep it secret and keep it: export"
            ~ " TRIBUTARY_HASH_KEY=$(openssl rand -hex 32)"
        ) }}
    {% endif %}
{% endmacro %}

{#-
  Where the rows of one entity come from: names, of files or not (are_files), the SQL that reads each
  (relations) and all (relation); none where there is nothing. A location is a folder; or a SQLite or
  DuckDB file, or a database attached in profiles.yml (`crm`, `crm.schema`), with tables named like
  the entities.
-#}
{% macro entity_input(source, location, entity) %}
    {% set database = location.split('.')[0] %}
    {% set attached = query_column(
        "select database_name from duckdb_databases() where not internal"
    ) %}
    {% if database in attached and database != target.database %}
        {{ return(table_input(entity, attached_tables(
            database, (location.split('.') | list)[1] if '.' in location else none
        ))) }}
    {% elif modules.re.fullmatch('.*[.](db|sqlite|sqlite3|duckdb)', location) %}
        {{ return(table_input(entity, database_file_tables(source, location))) }}
    {% endif %}
    {{ return(entity_files(source, location, entity)) }}
{% endmacro %}

{#- The files of one entity and the SQL that reads them, all and each, or none without files. -#}
{% macro entity_files(source, folder, entity) %}
    {% set found = {} %}
    {% for kind in ['csv', 'parquet'] %}
        {% set endings = [kind, 'csv.gz'] if kind == 'csv' else [kind] %}
        {% set patterns = [] %}
        {% for ending in endings %}
            {% for stem in [entity ~ '.', entity ~ '_*.', entity ~ '/*.'] %}
                {% do patterns.append(folder.rstrip('/') ~ '/' ~ stem ~ ending) %}
            {% endfor %}
        {% endfor %}
        {% set files = files_matching(patterns) %}
        {% if files %}
            {% do found.update({kind: files}) %}
        {% endif %}
    {% endfor %}
    {% set stem = folder.rstrip('/') ~ '/' ~ entity %}
    {% set passed_over = files_matching([stem ~ '.*', stem ~ '_*', stem ~ '/**'])
        | reject('in', found.get('csv', []) + found.get('parquet', [])) | list %}
    {% if passed_over %}
        {% do log(
            "Source " ~ source ~ ": passed over " ~ passed_over | join(', ') ~ ". Read are files in "
            ~ folder ~ " and " ~ stem ~ "/ that end in .csv, .csv.gz or .parquet.", info=true
        ) %}
    {% endif %}
    {% if not found %}
        {{ return(none) }}
    {% endif %}
    {% if found | length == 2 %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ entity ~ " comes both as CSV and as Parquet in " ~ folder
            ~ " (" ~ found.csv[0] ~ ", " ~ found.parquet[0] ~ "). Keep one kind."
        ) }}
    {% endif %}
    {% set kind = found.keys() | first %}
    {% if kind == 'parquet' %}
        {{ return(parquet_input(found[kind])) }}
    {% endif %}
    {{ return(csv_input(source, entity, found[kind])) }}
{% endmacro %}

{#- A file's name as readers take it: for them [, * and ? are patterns. -#}
{% macro file_literal(file) %}
    {{ return(sql_text(modules.re.sub('([*?]|[\\[])', '[\\1]', file))) }}
{% endmacro %}

{#- The column that readers of files add; no export has one of this name. -#}
{% macro file_column() %}
    {{ return('(file)') }}
{% endmacro %}

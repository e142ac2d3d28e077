{#- A user's own CSV or Parquet files. -#}
{% macro land_files() %}
    {% set folder = var('files_path') or env_var('TRIBUTARY_FILES', '') %}
    {% if not folder %}
        {{ exceptions.raise_compiler_error(
            "Source files: no folder is named. Give it as --vars '{files_path: DIR}'"
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
    {% set files = entity_files(source, folder, 'experiments') %}
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

{#- The simulator's output: the same entities as files, always as Parquet. -#}
{% macro land_demo() %}
    {% do land_folder('demo', var('demo_path'), "Make it with: tributary simulate") %}
{% endmacro %}

{% macro land_folder(source, folder, advice) %}
    {% set entities = {
        'sessions': {
            'session_id': {'kind': 'text', 'required': true},
            'user_id': {'kind': 'text', 'required': true},
            'started_at': {'kind': 'time', 'required': true},
            'channel': {'kind': 'text', 'required': true},
            'source': {'kind': 'text', 'required': false},
            'medium': {'kind': 'text', 'required': false},
            'campaign': {'kind': 'text', 'required': false},
            'holder_engagement': {'kind': 'number', 'required': false},
            'closer_engagement': {'kind': 'number', 'required': false},
            'impression_interaction': {'kind': 'number', 'required': false}
        },
        'conversions': {
            'conversion_id': {'kind': 'text', 'required': true},
            'user_id': {'kind': 'text', 'required': true},
            'converted_at': {'kind': 'time', 'required': true},
            'revenue': {'kind': 'number', 'required': true},
            'conversion_type': {'kind': 'text', 'required': false},
            'currency': {'kind': 'text', 'required': false}
        },
        'spend': {
            'date': {'kind': 'time', 'required': true},
            'channel': {'kind': 'text', 'required': true},
            'spend': {'kind': 'number', 'required': true},
            'campaign': {'kind': 'text', 'required': false},
            'account': {'kind': 'text', 'required': false}
        }
    } %}
    {% for entity, columns in entities.items() %}
        {% set files = entity_files(source, folder, entity) %}
        {% if files %}
            {% for file in files.names %}
                {% do check_columns(source, columns_of(files.relations[file]), columns, file) %}
            {% endfor %}
            {% do land_entity(
                source, entity, files.relation, columns, files.names | join(', ')
            ) %}
        {% elif entity == 'spend' %}
            {% do log("Source " ~ source ~ ": no spend files in " ~ folder ~ ": spend is 0", info=true) %}
            {% do land_nothing(source, 'spend', columns) %}
        {% else %}
            {{ exceptions.raise_compiler_error(
                "Source " ~ source ~ ": there is no file for " ~ entity ~ " in " ~ folder
                ~ ". Looked for " ~ entity ~ ".csv, " ~ entity ~ ".parquet, " ~ entity
                ~ "_*.csv, " ~ entity ~ "_*.parquet and both kinds in " ~ entity ~ "/. " ~ advice
            ) }}
        {% endif %}
    {% endfor %}
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
    {% set literals = [] %}
    {% for file in found[kind] %}
        {% do literals.append(sql_text(file)) %}
    {% endfor %}
    {#- Short rows are padded, so that one does not stop the file; line breaks within quotes then
        need a reader of one thread. Nothing is a comment: ids may begin with #. -#}
    {% set readers = {
        'csv': "read_csv([FILES], header = true, all_varchar = true, union_by_name = true,"
            ~ " quote = '\"', escape = '\"', comment = '', null_padding = true, parallel = false)",
        'parquet': "read_parquet([FILES], union_by_name = true)"
    } %}
    {% set relations = {} %}
    {% for file in found[kind] %}
        {% do relations.update({file: readers[kind] | replace('FILES', sql_text(file))}) %}
    {% endfor %}
    {% set relation = readers[kind] | replace('FILES', literals | join(', ')) %}
    {% if kind == 'csv' %}
        {% do check_quotes_and_encoding(source, found[kind]) %}
    {% endif %}
    {{ return({'relation': relation, 'relations': relations, 'names': found[kind]}) }}
{% endmacro %}

{#-
  Reads CSV files once to the end, before anything is built. An unclosed quote would swallow the rows
  after it and a wrong encoding stop the build half-way: both are errors here, with file and line.
  Short and long rows are not: staging reads them.
-#}
{% macro check_quotes_and_encoding(source, files) %}
    {% for file in files %}
        {% do run_query(
            "select max(length(columns(*))) from read_csv(" ~ sql_text(file) ~ ", header = true,"
            ~ " all_varchar = true, quote = '\"', escape = '\"', comment = '', store_rejects = true)"
        ) %}
        {% for error in run_query(
            "select line, error_type, error_message from reject_errors"
            ~ " where error_type not in ('MISSING COLUMNS', 'TOO MANY COLUMNS') order by line limit 1"
        ) %}
            {{ exceptions.raise_compiler_error(
                "Source " ~ source ~ ": " ~ file ~ ", line " ~ error[0] ~ ": "
                ~ error[2] | replace('\n', ' ') | truncate(200)
                ~ " Write the file as UTF-8 CSV, with every quoted value closed."
            ) }}
        {% endfor %}
    {% endfor %}
{% endmacro %}

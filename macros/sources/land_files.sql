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

{#- The simulator's output: the same entities as files, always as Parquet. -#}
{% macro land_demo() %}
    {% do land_folder('demo', var('demo_path'), "Make it with: tributary simulate") %}
    {% do land_identity_truth('demo', var('demo_path')) %}
{% endmacro %}

{#- Whose each cookie, call, form and customer is: what a simulation knows, and nobody else. -#}
{% macro land_identity_truth(source, folder) %}
    {% set columns = {
        'entity': {'kind': 'text', 'required': true},
        'entity_key': {'kind': 'text', 'required': true},
        'true_person': {'kind': 'text', 'required': true},
        'is_matchable': {'kind': 'number', 'required': true}
    } %}
    {% set files = entity_files(source, folder, 'identity_truth') %}
    {% if not files %}
        {{ return(land_nothing(source, 'identity_truth', columns)) }}
    {% endif %}
    {% do land_entity(
        source, 'identity_truth', files.relation, columns, files.names | join(', ')
    ) %}
{% endmacro %}

{#- The contract of a folder: what each entity may and must have, and whether it must be there. -#}
{% macro folder_contract() %}
    {% set needed_text = {'kind': 'text', 'required': true} %}
    {% set needed_time = {'kind': 'time', 'required': true} %}
    {% set needed_number = {'kind': 'number', 'required': true} %}
    {% set text = {'kind': 'text', 'required': false} %}
    {% set texts = {'kind': 'texts', 'required': false} %}
    {% set time = {'kind': 'time', 'required': false} %}
    {% set number = {'kind': 'number', 'required': false} %}
    {% set loaded_at, loaded_from = time, {'kind': 'file', 'required': false} %}
    {% set customer_id = {'kind': 'text', 'required': true, 'also': ['patient_id']} %}
    {{ return({
        'sessions': {'is_required': true, 'columns': {
            'session_id': needed_text,
            'user_id': needed_text,
            'started_at': needed_time,
            'channel': {
                'kind': 'text', 'required': true, 'unless': ['source', 'landing_page', 'referrer']
            },
            'source': text,
            'medium': text,
            'campaign': text,
            'referrer': text,
            'landing_page': text,
            'holder_engagement': number,
            'closer_engagement': number,
            'impression_interaction': number,
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'conversions': {'is_required': true, 'columns': {
            'conversion_id': needed_text,
            'user_id': needed_text,
            'converted_at': needed_time,
            'revenue': needed_number,
            'conversion_type': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'spend': {'is_required': false, 'columns': {
            'spend_id': text,
            'date': needed_time,
            'channel': needed_text,
            'spend': needed_number,
            'campaign': text,
            'account': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'calls': {'is_required': false, 'columns': {
            'call_id': {'kind': 'text', 'required': true, 'also': ['id']},
            'called_at': {'kind': 'time', 'required': true, 'also': ['start_time']},
            'contact_number': {
                'kind': 'text', 'required': true,
                'also': ['customer_phone_number', 'caller_number']
            },
            'email': text,
            'visitor_id': {'kind': 'text', 'required': false, 'also': ['visitor_sid']},
            'channel': text,
            'source': text,
            'medium': text,
            'campaign': text,
            'referral': {'kind': 'text', 'required': false, 'also': ['referral_source_id']},
            'tracking_label': {'kind': 'text', 'required': false, 'also': ['source_name']},
            'landing_page': {'kind': 'text', 'required': false, 'also': ['landing_page_url']},
            'first_touch': text,
            'last_touch': text,
            'duration': {'kind': 'number', 'required': false, 'also': ['duration_seconds']},
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'customers': {'is_required': false, 'columns': {
            'customer_id': customer_id,
            'phone': texts,
            'email': texts,
            'referral_source_id': text,
            'created_at': time,
            'first_name': text,
            'last_name': text,
            'birth_date': text,
            'city': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'appointments': {'is_required': false, 'columns': {
            'appointment_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'customer_id': customer_id,
            'booked_at': needed_time,
            'attended_at': time,
            'status': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'revenue': {'is_required': false, 'columns': {
            'revenue_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'customer_id': customer_id,
            'service_date': needed_time,
            'net': needed_number,
            'revenue_center': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'identity_links': {'is_required': false, 'columns': {
            'link_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'linked_at': needed_time,
            'user_id': text,
            'customer_id': {'kind': 'text', 'required': false, 'also': ['patient_id']},
            'phone': text,
            'email': text,
            'kind': text,
            'channel': text,
            'source': text,
            'medium': text,
            'campaign': text,
            'landing_page': text,
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }}
    }) }}
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

{% macro table_input(entity, tables) %}
    {% if entity not in tables %}
        {{ return(none) }}
    {% endif %}
    {{ return({
        'are_files': false,
        'names': ['table ' ~ entity],
        'relations': {'table ' ~ entity: tables[entity]},
        'relation': tables[entity]
    }) }}
{% endmacro %}

{#- Tables and views of an attached database by lower-case name, as SQL after FROM. -#}
{% macro attached_tables(database, schema=none) %}
    {% set tables = {} %}
    {% for row in run_query(
        "select table_schema, table_name from information_schema.tables where table_catalog = "
        ~ sql_text(database)
        ~ (" and table_schema = " ~ sql_text(schema) if schema else "")
        ~ " order by table_schema desc, table_name"
    ) %}
        {% do tables.update({row[1] | lower:
            quoted_name(database) ~ '.' ~ quoted_name(row[0]) ~ '.' ~ quoted_name(row[1])}) %}
    {% endfor %}
    {{ return(tables) }}
{% endmacro %}

{#- Tables of a SQLite or DuckDB file by lower-case name, as SQL after FROM. -#}
{% macro database_file_tables(source, path) %}
    {% if not files_matching([path]) %}
        {{ exceptions.raise_compiler_error("Source " ~ source ~ ": there is no file " ~ path ~ ".") }}
    {% endif %}
    {% if path.endswith('.duckdb') or not is_sqlite(path) %}
        {% do run_query(
            "attach if not exists " ~ sql_text(path) ~ " as input_" ~ source ~ " (read_only)"
        ) %}
        {{ return(attached_tables('input_' ~ source)) }}
    {% endif %}
    {% set tables = {} %}
    {% for name in sqlite_tables(path) %}
        {% do tables.update({name: sqlite_table(path, name)}) %}
    {% endfor %}
    {{ return(tables) }}
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

{#-
  Files that have their columns in the same types are read together. A column that has another type in
  another file is text in all: united by the reader, the values of one file would take the type of the
  other, and lose digits to it. A name with blanks around it is the same name without.
-#}
{% macro parquet_input(files) %}
    {% set relations, columns, types, groups = {}, {}, {}, {} %}
    {% for file in files %}
        {% set relation = parquet_reader(file_literal(file)) %}
        {% set found = columns_of(relation) %}
        {% do relations.update({file: relation}) %}
        {% do columns.update({file: found}) %}
        {% for name, column in found.items() %}
            {% do types.setdefault(name, []).append(column.type) %}
        {% endfor %}
    {% endfor %}
    {% for file in files %}
        {% set texts, own_types, names = [], [], [] %}
        {% for name, column in columns[file].items() if types[name] | unique | list | length > 1 %}
            {% do texts.append(landed_column(column, 'text') ~ ' as ' ~ quoted_name(column.name)) %}
            {% do own_types.append(column) %}
        {% endfor %}
        {% for column in columns[file].values() if column.name != column.name | trim %}
            {% do names.append(quoted_name(column.name) ~ ' as ' ~ quoted_name(column.name | trim)) %}
        {% endfor %}
        {% set alike = groups.setdefault(
            [own_types, names] | string, {'texts': texts, 'names': names, 'files': []}
        ) %}
        {% do alike.files.append(file_literal(file)) %}
    {% endfor %}
    {% set readers = [] %}
    {% for group in groups.values() %}
        {% set reader = "select *"
            ~ (" replace (" ~ group.texts | join(', ') ~ ")" if group.texts else "") ~ " from "
            ~ parquet_reader(group.files | join(', '), ", filename = '" ~ file_column() ~ "'") %}
        {% do readers.append(
            "select * rename (" ~ group.names | join(', ') ~ ") from (" ~ reader ~ ")"
            if group.names else reader
        ) %}
    {% endfor %}
    {{ return({
        'are_files': true,
        'names': files,
        'relations': relations,
        'columns': columns,
        'relation': "(" ~ readers | join(" union all by name ") ~ ")"
    }) }}
{% endmacro %}

{% macro parquet_reader(literals, options='') %}
    {{ return(
        "read_parquet([" ~ literals ~ "], union_by_name = true, hive_partitioning = false" ~ options ~ ")"
    ) }}
{% endmacro %}

{#- A file's name as readers take it: for them [, * and ? are patterns. -#}
{% macro file_literal(file) %}
    {{ return(sql_text(modules.re.sub('([*?]|[\\[])', '[\\1]', file))) }}
{% endmacro %}

{#- The column that readers of files add; no export has one of this name. -#}
{% macro file_column() %}
    {{ return('(file)') }}
{% endmacro %}

{#-
  The header alone says which columns there are: what the reader would guess from the first lines
  depends on which of them are ragged. A line with fewer values is padded, because many exports leave
  out empty ones at the end; one with more is malformed. Files alike are read together.
-#}
{% macro csv_input(source, entity, files) %}
    {% set relations, groups = {}, {} %}
    {% for file in files %}
        {% do check_compression(source, file) %}
        {% set form = csv_form(source, file) %}
        {% set lines = csv_line_check(file, form) %}
        {% if not lines.are_plain and lines.end_in_return %}
            {{ exceptions.raise_compiler_error(
                "Source " ~ source ~ ": " ~ file ~ " ends in a carriage return alone, where its other"
                ~ " lines end in a line feed. Such a file is read only where each line is a row: some"
                ~ " values of this one have line breaks or quotes within, or some lines more values than"
                ~ " the header. Take the carriage return away."
            ) }}
        {% elif not lines.are_plain %}
            {% do quarantine_malformed_lines(source, entity, file, form) %}
        {% elif lines.end_in_return or not lines.end_alike %}
            {% do form.update({'options': form.options ~ ", strict_mode = false, new_line = '\\n'"}) %}
        {% endif %}
        {% do relations.update({file: csv_reader(file_literal(file), form, form.padding)}) %}
        {% set alike = groups.setdefault(form.options, {'form': form, 'files': []}) %}
        {% do alike.files.append(file_literal(file)) %}
    {% endfor %}
    {% set readers = [] %}
    {% for group in groups.values() %}
        {% do readers.append("select * from " ~ csv_reader(
            group.files | join(', '), group.form,
            group.form.padding ~ ", filename = '" ~ file_column() ~ "'"
        )) %}
    {% endfor %}
    {{ return({
        'are_files': true,
        'names': files,
        'relations': relations,
        'relation': "(" ~ readers | join(" union all by name ") ~ ")"
    }) }}
{% endmacro %}

{#- Stops the build where a compressed file is cut or damaged: DuckDB would read it as far as it goes. -#}
{% macro check_compression(source, file) %}
    {% set fault = query_column("select gzip_fault(" ~ sql_text(file) ~ ")")[0] if file.endswith('.gz') %}
    {% if fault %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ file ~ " is cut, damaged or not compressed with gzip (" ~ fault
            ~ "). Deliver it again."
        ) }}
    {% endif %}
{% endmacro %}

{% macro csv_reader(literals, form, options) %}
    {{ return(
        "read_csv([" ~ literals ~ "], hive_partitioning = false, " ~ form.options ~ ", " ~ options ~ ")"
    ) }}
{% endmacro %}

{#-
  How a CSV file is written, by its header: the separator that stands there most often, and the
  columns. Nothing is a comment: ids may begin with #. To pad short lines, line breaks within quotes
  need a reader of one thread.
-#}
{% macro csv_form(source, file) %}
    {% set header = csv_header(source, file) %}
    {% set unquoted = modules.re.sub('"[^"]*"', '', header) %}
    {% set separator = namespace(text=',', count=unquoted.count(',')) %}
    {% for text in [';', '\t', '|'] if unquoted.count(text) > separator.count %}
        {% set separator.text, separator.count = text, unquoted.count(text) %}
    {% endfor %}
    {% set dialect = "auto_detect = false, quote = '\"', escape = '\"', comment = '', delim = "
        ~ sql_text(separator.text) %}
    {% set places = [] %}
    {% for _ in range(separator.count + 1) %}
        {% do places.append("c" ~ loop.index) %}
    {% endfor %}
    {% set names = query_column(
        "select unnest([" ~ places | join(', ') ~ "]) from (select * from read_csv(" ~ file_literal(file)
        ~ ", hive_partitioning = false, header = false, " ~ dialect ~ ", columns = {" ~ places | join(": 'varchar', ")
        ~ ": 'varchar'}, null_padding = true, parallel = false, ignore_errors = true,"
        ~ " strict_mode = false) limit 1)"
    ) %}
    {% set columns, taken = [], [] %}
    {% for name in names %}
        {% set name = name | default('', true) | string | trim or 'column' ~ loop.index %}
        {% set name = name if name | lower not in taken else name ~ '_' ~ loop.index %}
        {% do taken.append(name | lower) %}
        {% do columns.append(sql_text(name) ~ ": 'varchar'") %}
    {% endfor %}
    {{ return({
        'separator': separator.text,
        'column_count': columns | length,
        'options': "header = true, " ~ dialect ~ ", columns = {" ~ columns | join(', ') ~ "}",
        'padding': "null_padding = true, parallel = false, ignore_errors = true"
    }) }}
{% endmacro %}

{#- The lines of a CSV file, in whichever ways they end, as SQL after FROM. -#}
{% macro csv_lines(file, options) %}
    {{ return(
        "read_csv(" ~ file_literal(file) ~ ", hive_partitioning = false, header = false, auto_detect = false, quote = '',"
        ~ " escape = '', comment = '', delim = '" ~ '%c' | format(31)
        ~ "', columns = {'line': 'varchar'}, strict_mode = false, " ~ options ~ ")"
    ) }}
{% endmacro %}

{#- The first line of a CSV file that is UTF-8; one before it that is not is found when all is read. -#}
{% macro csv_header(source, file) %}
    {% set lines = query_column(
        "select line from " ~ csv_lines(file, "ignore_errors = true") ~ " limit 1"
    ) %}
    {% if not lines or lines[0] is none %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ file ~ " has no header: it is empty or not UTF-8. Where there"
            ~ " are no rows, deliver the header alone or no file."
        ) }}
    {% endif %}
    {% set header = lines[0] | string %}
    {% if '\x00' in header %}
        {{ csv_error(source, file, 1, "Invalid unicode in the header.") }}
    {% elif header.count('"') % 2 %}
        {{ csv_error(source, file, 1, "A quote in the header is not closed on its line.") }}
    {% endif %}
    {{ return(header) }}
{% endmacro %}

{% macro csv_error(source, file, line, problem) %}
    {{ exceptions.raise_compiler_error(
        "Source " ~ source ~ ": " ~ file ~ ", line " ~ line ~ ": "
        ~ problem | replace('\n', ' ') | truncate(200)
        ~ " Write the file as UTF-8 CSV, with every quoted value closed."
    ) }}
{% endmacro %}

{% macro forget_rejects() %}
    {% do run_query("drop table if exists reject_errors") %}
    {% do run_query("drop table if exists reject_scans") %}
{% endmacro %}

{#-
  Two things about the lines of a CSV file. Are they plain: is each a row by itself, well formed and
  with no more values than the header? Then nothing malformed has to be looked for. (A regular expression
  counts to 1000.) And do all end alike? Where files of two systems were put together, some have a
  carriage return before the line feed, or one alone, perhaps at the very end (end_in_return). Such a file
  is taken only by a reader that is not strict, which is slower and would not notice what is malformed.
  Told to break at line feeds, the reader of lines shows each carriage return as one more line, without
  text; told to break at both, it does not, and after one that stands alone it loses a letter. One thread
  sees all lines of such a file, several do not.
-#}
{% macro csv_line_check(file, form) %}
    {% set end_in_return = query_column("select ends_in_carriage_return(" ~ sql_text(file) ~ ")")[0] %}
    {% if form.column_count > 1000 %}
        {{ return({'are_plain': false, 'end_in_return': false}) }}
    {% endif %}
    {% set separator = '[' ~ form.separator ~ ']' %}
    {% set value = '(?:"(?:[^"]|"")*"|[^"' ~ form.separator ~ ']*)' %}
    {% set row = '(?:' ~ value ~ separator ~ '){0,' ~ (form.column_count - 1) ~ '}' ~ value %}
    {% do forget_rejects() %}
    {% set check = run_query(
        "with at_both as (select count(*) as lines, sum(strlen(line)) as letters from " ~ csv_lines(
            file, "new_line = '\\r\\n', parallel = false, ignore_errors = true"
        ) ~ "), at_feeds as (select count(*) as lines, sum(strlen(line)) as letters,"
        ~ " bool_and(regexp_full_match(line, " ~ sql_text(row) ~ ")) as are_plain from " ~ csv_lines(
            file, "new_line = '\\n', parallel = false, store_rejects = true, rejects_limit = 0"
        ) ~ ") select at_feeds.are_plain, at_feeds.letters = at_both.letters"
        ~ " and at_feeds.lines in (at_both.lines, 2 * at_both.lines),"
        ~ " at_feeds.lines = at_both.lines from at_both, at_feeds"
    )[0] %}
    {{ return({
        'are_plain': check[0] and not query_column("select 1 from reject_errors limit 1"),
        'end_alike': check[1],
        'end_in_return': end_in_return and check[2]
    }) }}
{% endmacro %}

{#-
  Reads a CSV file once to the end, its header too, before anything is built. An unclosed quote would
  swallow the rows after it, and text in another encoding is wrong all over the file: both are errors
  here, with file and line. Lines that are wrong by themselves go to raw_<source>.malformed_rows, for
  the quarantine; without their text once anybody was erased, for nobody knows whose they are.
-#}
{% macro quarantine_malformed_lines(source, entity, file, form) %}
    {% do forget_rejects() %}
    {% do run_query(
        "select max(length(columns(*))) from "
        ~ csv_reader(
            file_literal(file), {'options': form.options | replace('header = true', 'header = false')},
            "store_rejects = true, rejects_limit = 0"
        )
    ) %}
    {% set is_of_one_line = "not contains(rtrim(csv_line, chr(10) || chr(13)), chr(10))" %}
    {% set is_malformed = "(error_type in ('TOO MANY COLUMNS', 'LINE SIZE OVER MAXIMUM')"
        ~ " or error_type = 'UNQUOTED VALUE' and " ~ is_of_one_line ~ ")" %}
    {% for error in run_query(
        "select line, error_message from reject_errors where error_type != 'MISSING COLUMNS'"
        ~ (" and not " ~ is_malformed if entity in folder_contract() else "")
        ~ " order by line limit 1"
    ) %}
        {{ csv_error(source, file, error[0], error[1]) }}
    {% endfor %}
    {% if entity in folder_contract() %}
        {% do run_query(
            "insert into raw_" ~ source ~ ".malformed_rows select " ~ sql_text(entity) ~ ", "
            ~ sql_text(file) ~ ", line, min(error_message), "
            ~ ("null" if erased_persons_file() else "left(min(csv_line), 10000)")
            ~ " from reject_errors where " ~ is_malformed ~ " group by line"
        ) %}
    {% endif %}
{% endmacro %}

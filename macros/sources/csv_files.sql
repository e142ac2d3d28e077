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

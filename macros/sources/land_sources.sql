{#-
  Landing: before a build, every enabled source is checked and shown to dbt as views in the schema
  raw_<source>, one per entity, with exactly the columns of its contract. Nothing is copied. A
  missing file, table or column stops the build here, by name. Adding a source: its name in
  known_sources(), a macro land_<source>(), and models/staging/<source>/.
-#}

{% macro known_sources() %}
    {{ return(['demo', 'files', 'ihc']) }}
{% endmacro %}

{#- The source as tables store it that grow with traffic: all others have it as a text. -#}
{% macro stored_source(column) -%}
    {{ stored_one_of(column, known_sources()) }}
{%- endmacro %}

{% macro land_sources() %}
    {% if execute %}
        {% for source in enabled_sources() %}
            {% do adapter.create_schema(
                api.Relation.create(database=target.database, schema='raw_' ~ source)
            ) %}
            {% do context['land_' ~ source]() %}
        {% endfor %}
        {% do land_ihc_service() %}
    {% endif %}
{% endmacro %}

{% macro sql_text(value) %}
    {{ return("'" ~ value | string | replace("'", "''") ~ "'") }}
{% endmacro %}

{% macro quoted_name(name) %}
    {{ return('"' ~ name | replace('"', '""') ~ '"') }}
{% endmacro %}

{% macro files_matching(patterns) %}
    {% set literals = [] %}
    {% for pattern in patterns %}
        {% do literals.append(sql_text(pattern)) %}
    {% endfor %}
    {{ return(query_column(
        "select distinct file from glob([" ~ literals | join(', ') ~ "]) order by file"
    )) }}
{% endmacro %}

{#- The first column of a query's result as a list. -#}
{% macro query_column(sql) %}
    {{ return(run_query(sql).columns[0].values() | list) }}
{% endmacro %}

{#- The columns of a relation (any SQL after FROM) by lower-case name: {name, type} each. -#}
{% macro columns_of(relation) %}
    {% set found = {} %}
    {% for row in run_query('describe select * from ' ~ relation) %}
        {% do found.update({row[0] | lower | trim: {'name': row[0], 'type': row[1]}}) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{#-
  The input's columns for a column of the contract: by its name, else by one of its other names
  (`also`); for kind texts every one with a number behind it too, such as phone_1, phone_2; for kind
  file the one that readers of files add.
-#}
{% macro matching_columns(found, name, rule) %}
    {% if rule.kind == 'texts' %}
        {% set matching = [] %}
        {% for column in found if modules.re.fullmatch(name ~ '(_?[0-9]+)?', column) %}
            {% do matching.append(column) %}
        {% endfor %}
        {{ return(matching) }}
    {% elif rule.kind == 'file' %}
        {{ return([file_column()] | select('in', found) | list) }}
    {% endif %}
    {{ return((([name] + rule.get('also', [])) | select('in', found) | list)[:1]) }}
{% endmacro %}

{#- Stops the build where `found` lacks a required column of the contract. -#}
{% macro check_columns(source, found, columns, origin) %}
    {% set required, optional, missing = [], [], [] %}
    {% for name, rule in columns.items() if rule.kind != 'file' %}
        {% set names = [name] + rule.get('also', []) %}
        {% do (required if rule.required else optional).append(names | join(' or ')) %}
        {% if rule.required and not (names + rule.get('unless', [])) | select('in', found) | list %}
            {% do missing.append(name) %}
        {% endif %}
    {% endfor %}
    {% if missing %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ origin ~ " has no column " ~ missing | join(', ')
            ~ ". It has: " ~ found.keys() | join(', ')
            ~ ". Needed: " ~ required | join(', ')
            ~ "; optional: " ~ (optional | join(', ') or 'none') ~ "."
            ~ (" One column alone hints at an unclosed quote or an unusual separator."
                if found | length == 1 else "")
        ) }}
    {% endif %}
{% endmacro %}

{#-
  Creates raw_<source>.<entity> over `relation` (any SQL after FROM). `columns` maps each column of
  the contract to {kind: text | texts | time | number | file, required: bool} and, where it has other
  names, also: [...]; `unless` names columns that make up for a missing one. Columns that the input
  lacks are null when optional and an error when required; columns beyond the contract are named
  once. `parts` are the columns of each file by its name: files may use different names, and in each of them
  the first one counts, whatever the others have.
-#}
{% macro land_entity(source, entity, relation, columns, origin, parts={}) %}
    {% set found = columns_of(relation) %}
    {% do check_columns(source, found, columns, origin) %}
    {% set selected, used = [], [] %}
    {% for name, rule in columns.items() %}
        {% set values, files = [], {} %}
        {% set matching = matching_columns(found, name, rule) %}
        {% for part, columns_of_part in parts.items() if rule.kind not in ['texts', 'file'] %}
            {% for column in matching_columns(columns_of_part, name, rule) %}
                {% do files.setdefault(column, []).append(sql_text(part)) %}
            {% endfor %}
        {% endfor %}
        {% set matching = (matching + files.keys() | list) | unique | list %}
        {% for column in matching %}
            {% do used.append(column) %}
            {% do values.append(landed_column(
                found[column],
                'text' if rule.kind in ['texts', 'file'] or matching | length > 1 else rule.kind
            )) %}
        {% endfor %}
        {% if rule.kind == 'texts' %}
            {% do selected.append('cast([' ~ values | join(', ') ~ '] as varchar[]) as ' ~ name) %}
        {% else %}
            {% set choices = [] %}
            {% for column in matching[1:] %}
                {% do choices.append(
                    'when ' ~ quoted_name(file_column()) ~ ' in (' ~ files[column] | join(', ')
                    ~ ') then ' ~ values[loop.index]
                ) %}
            {% endfor %}
            {% do selected.append(
                ('case ' ~ choices | join(' ') ~ ' else ' ~ values[0] ~ ' end' if choices
                    else values[0] if values else 'cast(null as varchar)') ~ ' as ' ~ name
            ) %}
        {% endif %}
    {% endfor %}
    {% set extra = found.keys() | reject('in', used + [file_column()]) | list %}
    {% if extra %}
        {% do log(
            "Source " ~ source ~ ": " ~ origin ~ ": columns not used: " ~ extra | join(', '),
            info=true
        ) %}
    {% endif %}
    {% do run_query(
        'create or replace view raw_' ~ source ~ '.' ~ entity
        ~ ' as select ' ~ selected | join(', ') ~ ' from ' ~ relation
    ) %}
{% endmacro %}

{#- Creates raw_<source>.<entity> with the columns of the contract and no rows. -#}
{% macro land_nothing(source, entity, columns) %}
    {% set selected = [] %}
    {% for name, rule in columns.items() %}
        {% do selected.append(
            'cast(null as varchar' ~ ('[]' if rule.kind == 'texts' else '') ~ ') as ' ~ name
        ) %}
    {% endfor %}
    {% do run_query(
        "create or replace view raw_" ~ source ~ "." ~ entity ~ " as select "
        ~ selected | join(", ") ~ " where false"
    ) %}
{% endmacro %}

{#-
  Types that fit the kind pass as they are; everything else becomes text, to be read in staging. A
  whole number in a floating column (what a gap makes of integer ids) is written without its ".0", as
  far as such a column tells whole numbers apart. A number of single precision is one of double
  precision before it is anything else: as a decimal it would be scaled with too few digits.
-#}
{% macro landed_column(column, kind) %}
    {% set quoted = quoted_name(column.name) %}
    {% set fitting = {
        'text': '',
        'time': 'DATE|TIMESTAMP.*',
        'number': 'BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|DECIMAL.*'
    } %}
    {% if kind == 'number' and column.type == 'FLOAT' %}
        {{ return('cast(' ~ quoted ~ ' as double)') }}
    {% elif modules.re.fullmatch(fitting[kind], column.type) %}
        {{ return(quoted) }}
    {% elif kind == 'text' and column.type in ['FLOAT', 'DOUBLE'] %}
        {% set whole_number = "case when isnan(X) then null when X = round(X) and abs(X) < 9007199254740992"
            ~ " then cast(cast(X as bigint) as varchar) else cast(X as varchar) end" %}
        {{ return(whole_number | replace('X', quoted)) }}
    {% endif %}
    {{ return('cast(' ~ quoted ~ ' as varchar)') }}
{% endmacro %}

{#-
  Landing: before a build, every enabled source is checked and shown to dbt as views in the schema
  raw_<source>, one per entity, with exactly the columns of its contract. Nothing is copied. A
  missing file, table or column stops the build here, by name. Adding a source: its name in
  known_sources(), a macro land_<source>(), and models/staging/<source>/.
-#}

{% macro known_sources() %}
    {{ return(['demo', 'files', 'ihc']) }}
{% endmacro %}

{% macro land_sources() %}
    {% if execute %}
        {% for source in enabled_sources() %}
            {% do adapter.create_schema(
                api.Relation.create(database=target.database, schema='raw_' ~ source)
            ) %}
            {% do context['land_' ~ source]() %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro sql_text(value) %}
    {{ return("'" ~ value | string | replace("'", "''") ~ "'") }}
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

{#-
  Creates raw_<source>.<entity> over `relation` (any SQL after FROM). `columns` maps each column of
  the contract to {kind: text | time | number, required: bool}. Columns that the input lacks are
  null when optional and an error when required; columns beyond the contract are named once.
-#}
{% macro land_entity(source, entity, relation, columns, origin) %}
    {% set found = {} %}
    {% for row in run_query('describe select * from ' ~ relation) %}
        {% do found.update({row[0] | lower: {'name': row[0], 'type': row[1]}}) %}
    {% endfor %}

    {% set missing, optional, selected = [], [], [] %}
    {% for name, rule in columns.items() %}
        {% if not rule.required %}
            {% do optional.append(name) %}
        {% endif %}
        {% if name in found %}
            {% do selected.append(landed_column(found[name], rule.kind) ~ ' as ' ~ name) %}
        {% else %}
            {% do selected.append('cast(null as varchar) as ' ~ name) %}
            {% if rule.required %}
                {% do missing.append(name) %}
            {% endif %}
        {% endif %}
    {% endfor %}
    {% if missing %}
        {{ exceptions.raise_compiler_error(
            "Source " ~ source ~ ": " ~ origin ~ " has no column " ~ missing | join(', ')
            ~ ". It has: " ~ found.keys() | join(', ')
            ~ ". Needed: " ~ columns.keys() | reject('in', optional) | join(', ')
            ~ "; optional: " ~ (optional | join(', ') or 'none') ~ "."
        ) }}
    {% endif %}

    {% set extra = found.keys() | reject('in', columns.keys()) | list %}
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

{#- Types that already fit the kind pass as they are; everything else becomes text to be read later. -#}
{% macro landed_column(column, kind) %}
    {% set quoted = '"' ~ column.name | replace('"', '""') ~ '"' %}
    {% set fitting = {
        'text': '(VARCHAR)',
        'time': '(DATE|TIMESTAMP)',
        'number': '(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT|FLOAT|DOUBLE|DECIMAL)'
    } %}
    {% if modules.re.match(fitting[kind], column.type) %}
        {{ return(quoted) }}
    {% endif %}
    {{ return('cast(' ~ quoted ~ ' as varchar)') }}
{% endmacro %}

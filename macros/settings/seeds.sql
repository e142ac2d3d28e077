{#-
  Stops a build of models whose seeds were never loaded, as dbt run in a new warehouse does: DuckDB
  would name but the first of them, in the middle of the build.
-#}
{% macro check_seeds_are_loaded() %}
    {% set missing = [] %}
    {% if execute and flags.WHICH in ['build', 'run'] %}
        {% set read = [] %}
        {% for name in selected_resources if name in graph.nodes %}
            {% do read.extend(graph.nodes[name].depends_on.nodes) %}
        {% endfor %}
        {% for name in read | unique | sort if name.startswith('seed.')
            and name not in selected_resources %}
            {% set seed = graph.nodes[name] %}
            {% if not adapter.get_relation(seed.database, seed.schema, seed.alias) %}
                {% do missing.append(seed.name) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {% if missing %}
        {{ exceptions.raise_compiler_error(
            "What is selected reads seeds that are not loaded: " ~ missing | join(', ')
            ~ ". Load them before (dbt seed), or build all at once (dbt build)."
        ) }}
    {% endif %}
{% endmacro %}

{#-
  Stops a build that loads a seed whose file lacks a column: DuckDB would miss it in the middle of the
  build, and not say where. What a description says is for people alone.
-#}
{% macro check_seed_columns() %}
    {% set seeds, files = {}, [] %}
    {% for name in (selected_resources if execute else []) if name.startswith('seed.') %}
        {% set seed = graph.nodes[name] %}
        {% set path = seed.root_path ~ '/' ~ seed.original_file_path %}
        {% do seeds.update({path: seed}) %}
        {% do files.append(file_literal(path)) %}
    {% endfor %}
    {% for row in (run_query(
        "select filename, split_part(content, chr(10), 1) from read_text("
        ~ "[" ~ files | join(', ') ~ "])"
    ) if seeds else []) %}
        {% set seed = seeds[row[0]] %}
        {% set found = [] %}
        {% for column in (row[1] or '').split(',') %}
            {% do found.append(column.strip('\ufeff\r" ') | lower) %}
        {% endfor %}
        {% set needed = seed.config.column_types.keys() | list %}
        {% set missing = needed | reject('in', found + ['description']) | list %}
        {% if missing %}
            {{ exceptions.raise_compiler_error(
                "The seed " ~ seed.name ~ ": " ~ seed.original_file_path ~ " has no column "
                ~ missing | join(', ') ~ ". It has: " ~ (found | select | join(', ') or 'none')
                ~ ". Needed: " ~ needed | join(', ') ~ ". Name the columns in its first line,"
                ~ " with commas between, or get it back, as with: git checkout -- "
                ~ seed.original_file_path
            ) }}
        {% endif %}
    {% endfor %}
{% endmacro %}

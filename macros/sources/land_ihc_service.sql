{#-
  Results of the external IHC service (tributary ihc-api): the view raw_ihc_service.credits. It is
  always there, and empty where ihc_results_path names no folder, because the ihc model refers to it.
-#}
{% macro land_ihc_service() %}
    {% set columns = {
        'source': {'kind': 'text', 'required': true},
        'conversion_id': {'kind': 'text', 'required': true},
        'session_id': {'kind': 'text', 'required': true},
        'initializer': {'kind': 'number', 'required': true},
        'holder': {'kind': 'number', 'required': true},
        'closer': {'kind': 'number', 'required': true},
        'ihc': {'kind': 'number', 'required': true},
        'computed_at': {'kind': 'time', 'required': true}
    } %}
    {% do adapter.create_schema(
        api.Relation.create(database=target.database, schema='raw_ihc_service')
    ) %}
    {% set folder = ihc_results_path() %}
    {% if not folder %}
        {% do land_nothing('ihc_service', 'credits', columns) %}
        {{ return('') }}
    {% endif %}

    {% set files = files_matching([folder.rstrip('/') ~ '/*.parquet']) %}
    {% if not files %}
        {{ exceptions.raise_compiler_error(
            "Results of the IHC service: there is no Parquet file in " ~ folder ~ ". Make it with:"
            ~ " tributary ihc-api, or name another folder in ihc_results_path."
        ) }}
    {% endif %}
    {% set literals = [] %}
    {% for file in files %}
        {% do check_columns(
            'ihc_service', columns_of("read_parquet(" ~ sql_text(file) ~ ")"), columns, file
        ) %}
        {% do literals.append(sql_text(file)) %}
    {% endfor %}
    {% do land_entity(
        'ihc_service', 'credits',
        "read_parquet([" ~ literals | join(', ') ~ "], union_by_name = true)",
        columns, files | join(', ')
    ) %}
{% endmacro %}

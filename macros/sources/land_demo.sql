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

{#-
  Models by person keep the rows of a person until something changes that these follow from. They are
  incremental models of the strategy changed_persons; docs/incremental.md says how it works.
-#}

{#- Every model by person: int_person_states comes after all of them. -#}
{% macro models_by_person() %}
    {{ return([
        'int_touches', 'int_journey_touchpoints', 'int_paths', 'int_rule_based_credits',
        'int_ihc_memberships', 'int_ihc_credits'
    ]) }}
{% endmacro %}

{#- The models that say which persons have changed. -#}
{% macro models_of_changes() %}
    {{ return(['int_person_fingerprints', 'int_changed_persons']) }}
{% endmacro %}

{% macro models_in_this_build() %}
    {{ return(selected_resources | map('replace', 'model.tributary.', '') | list) }}
{% endmacro %}

{% macro are_in_this_build(models) %}
    {{ return(models | reject('in', models_in_this_build()) | list == []) }}
{% endmacro %}

{#-
  Where the fingerprints of a build that ended well are: read by what comes before it, so no ref. Those
  that an earlier version wrote in other columns say nothing.
-#}
{% macro person_states() %}
    {% set states = adapter.get_relation(
        database=this.database, schema=this.schema, identifier='int_person_states'
    ) %}
    {% set columns = adapter.get_columns_in_relation(states) if states else [] %}
    {{ return(
        states if columns | map(attribute='name') | list == ['person_key', 'fingerprint'] else none
    ) }}
{% endmacro %}

{#- What they say: no rows where there are none. -#}
{% macro last_person_states() %}
    {%- set states = person_states() if execute -%}
    select
        person_key,
        fingerprint
    from {{ states or ref('int_person_fingerprints') }}
    {%- if not states %}
    where false
    {%- endif %}
{%- endmacro %}

{#- Is a model by person built anew for all persons? -#}
{% macro is_for_all_persons() %}
    {{ return(person_states() is none or not are_in_this_build(models_of_changes())) }}
{% endmacro %}

{#-
  Condition: is a row of a changed person? Always true in a build for all persons, and in a
  unit test, which has no table of its own.
-#}
{% macro is_of_changed_person() -%}
    {%- if not execute or (this and is_incremental()) -%}
        person_key in (select person_key from {{ ref('int_changed_persons') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- The strategy: changed persons lose their rows and get those that were computed now. -#}
{% macro get_incremental_changed_persons_sql(arguments) %}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments.target_relation }}
    where person_key in (select person_key from {{ ref('int_changed_persons') }});
    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
{% endmacro %}

{#-
  Comes after int_changed_persons is made, in one transaction with it: from here on until the build
  has ended well nobody may take rows of changed persons for right. Where most persons have changed,
  all states go, and with them the rows of all persons: making everything anew is faster then.
-#}
{% macro forget_changed_persons() %}
    {% set states = person_states() if execute %}
    {% if states %}
        {% set is_for_most = query_column(
            'select 2 * (select count(*) from ' ~ this ~ ') >= (select count(*) from ' ~ states ~ ')'
        )[0] %}
        {% if is_for_most or flags.FULL_REFRESH %}
            {% do adapter.drop_relation(states) %}
        {% else %}
            {% set changed = '(select person_key from ' ~ this ~ ')' %}
            delete from {{ states }} where person_key in {{ changed }};
            insert into {{ states }} (person_key) {{ changed }};
        {% endif %}
    {% endif %}
{% endmacro %}

{#-
  Comes before a build: a model by person that is built without the models of changes, as by --select, is
  of settings and code that the states do not speak of, and so all of them go.
-#}
{% macro forget_persons_of_models_built_alone() %}
    {% if execute and models_by_person() | select('in', models_in_this_build()) | list
        and not are_in_this_build(models_of_changes()) %}
        {% set node = graph.nodes['model.tributary.int_person_states'] %}
        {% set states = adapter.get_relation(
            database=node.database, schema=node.schema, identifier=node.alias
        ) %}
        {#- Not by SQL: dbt would take them for there, and roll back what asks for their columns. -#}
        {% if states %}
            {% do adapter.drop_relation(states) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{#- The seeds that models by person read, and their columns. -#}
{% macro seeds_of_persons() %}
    {{ return({
        'attribution_models': ['attribution_model', 'family', 'is_enabled', 'decay_weight'],
        'position_shares': ['attribution_model', 'place', 'share'],
        'ihc_curves': ['phase', 'hours', 'membership'],
        'ihc_channel_factors': ['phase', 'channel', 'factor'],
        'ihc_phase_weights': ['phase', 'weight']
    }) }}
{% endmacro %}

{#-
  All that rows of models by person follow from beside the rows of the person: where it changes, all
  persons have changed. Seeds are asked as they are loaded: `dbt run` builds without loading a new one.
-#}
{% macro definition_of_persons() %}
    {% set loaded = [] %}
    {% for seed, columns in seeds_of_persons().items() %}
        {% do loaded.append(seed_rows(seed, columns)) %}
    {% endfor %}
    {{ return(local_md5(code_and_settings() ~ loaded) if execute else '') }}
{% endmacro %}

{#- Were all models by person part of this build? Else what was changed stays to be done. -#}
{% macro are_models_by_person_built() %}
    {% for node in (graph.nodes.values() if execute else []) if (
        node.config.incremental_strategy == 'changed_persons'
        and node.name not in models_by_person()
    ) %}
        {{ exceptions.raise_compiler_error(
            node.name ~ " is a model by person that the macro models_by_person does not list."
        ) }}
    {% endfor %}
    {% for name in (models_by_person() if execute else []) %}
        {% for seed in graph.nodes['model.tributary.' ~ name].depends_on.nodes if (
            seed.startswith('seed.') and seed.split('.')[-1] not in seeds_of_persons()
        ) %}
            {{ exceptions.raise_compiler_error(
                name ~ " reads " ~ seed ~ ", which the macro seeds_of_persons does not list."
            ) }}
        {% endfor %}
    {% endfor %}
    {{ return(are_in_this_build(models_of_changes() + models_by_person())) }}
{% endmacro %}

{#- Are there new states, or none yet that can be read? Else they stay, with those struck out. -#}
{% macro are_person_states_replaced() %}
    {{ return(are_models_by_person_built() or person_states() is none) }}
{% endmacro %}

{#-
  Sessions keep the rows of a file until the file changes, or what else these follow from: they are an
  incremental model of the strategy changed_deliveries; docs/incremental.md says how it works.
-#}

{#- Names are not forgotten with the files: until sessions are checked, some are of files that are gone. -#}
{% macro forget_session_files(source) %}
    {% do run_query(
        "create or replace table raw_" ~ source ~ ".session_files (loaded_from varchar,"
        ~ " bytes bigint, modified_at timestamptz, is_settled boolean, columns_read varchar,"
        ~ " delivery_key bigint, is_kept boolean)"
    ) %}
    {% do run_query(
        "create table if not exists raw_" ~ source ~ ".session_file_names (loaded_from varchar)"
    ) %}
{% endmacro %}

{#-
  Notes the files that sessions are read from: told by name, size and time of modification, and read in
  columns and types that follow from all of them together. Times of modification are whole seconds: a
  file that was written just now may change within the second, and is not settled.
-#}
{% macro note_session_files(source, files) %}
    {% set literals = [] %}
    {% for name in files.names %}
        {% do literals.append(file_literal(name)) %}
    {% endfor %}
    {% do run_query(
        "insert into raw_" ~ source ~ ".session_files select filename, size, last_modified,"
        ~ " last_modified < now() - interval 2 second, "
        ~ sql_text(local_md5(columns_of(files.relation) | string)) ~ ", null, false"
        ~ " from read_blob([" ~ literals | join(', ') ~ "])"
    ) %}
    {% do run_query(
        "insert into raw_" ~ source ~ ".session_file_names select loaded_from from raw_" ~ source
        ~ ".session_files except select loaded_from from raw_" ~ source ~ ".session_file_names"
    ) %}
{% endmacro %}

{#- The sources that deliver sessions in files: those that landing has noted files of. -#}
{% macro sources_with_session_files() %}
    {% set landed = query_column(
        "select table_schema from information_schema.tables where table_name = 'session_files'"
        ~ " and table_catalog = " ~ sql_text(target.database)
    ) if execute and model.resource_type != 'unit_test' else [] %}
    {% set sources = [] %}
    {% for source in enabled_sources() if 'raw_' ~ source in landed %}
        {% do sources.append(source) %}
    {% endfor %}
    {{ return(sources) }}
{% endmacro %}

{#- The files of sessions, their keys, and whether the rows kept of them are right. -#}
{% macro session_deliveries() %}
    {%- set deliveries = [] -%}
    {%- for source in sources_with_session_files() -%}
        {%- do deliveries.append(
            "select '" ~ source ~ "' as source, loaded_from, delivery_key, is_kept from raw_" ~ source
            ~ ".session_files"
        ) -%}
    {%- endfor -%}
    {%- do deliveries.append(
        "select cast(null as varchar) as source, cast(null as varchar) as loaded_from,"
        ~ " cast(null as bigint) as delivery_key, false as is_kept where false"
    ) -%}
    {{ deliveries | join('\n    union all\n    ') }}
{% endmacro %}

{#- Comes after sessions are checked: none is of a file that is gone any more, and its name goes, too. -#}
{% macro forget_names_of_gone_files() %}
    {%- for source in sources_with_session_files() %}
    delete from raw_{{ source }}.session_file_names
    where loaded_from not in (select loaded_from from raw_{{ source }}.session_files);
    {%- endfor %}
{% endmacro %}

{#- The names of all files that checked sessions are of. -#}
{% macro names_of_session_files() %}
    {%- for source in sources_with_session_files() %}
    select '{{ source }}' as source, loaded_from from raw_{{ source }}.session_file_names
    union all
    {%- endfor %}
    select cast(null as varchar) as source, cast(null as varchar) as loaded_from where false
{%- endmacro %}

{#- Joins the name of the file that each of some checked sessions is of. -#}
{% macro join_session_files(sessions) -%}
    left join {{ ref('int_session_files') }} as session_files
        on {{ sessions }}.file_key = session_files.file_key
{%- endmacro %}

{#- What loaded seeds say of sessions: dbt run goes on with those that were loaded before. -#}
{% macro seeds_of_deliveries() %}
    {{ return([
        seed_rows('click_ids', ['parameter']),
        seed_rows('channel_rules', ['priority', 'channel'] + traffic_columns()),
        seed_rows('referral_sources', ['source', 'referral_source_id', 'channel'])
    ]) }}
{% endmacro %}

{#- Beside code and settings: what loaded seeds say of sessions, and who was erased. -#}
{% macro definition_of_deliveries(seeds) %}
    {% set erased = erased_persons_file() %}
    {{ return(local_md5(
        code_and_settings() ~ seeds ~ (
            query_column("select content from read_text(" ~ sql_text(erased) ~ ")")[0] if erased else ''
        )
    )) }}
{% endmacro %}

{#-
  Decides, once for a build, which files are not read again: is_kept. delivery_key stands for a file, as
  it is, and for all that its rows follow from beside; it is null where the file is not settled, and where
  not all models that sessions are read with are part of the build: they may be of other code.
-#}
{% macro decide_deliveries() %}
    {% set seeds = seeds_of_deliveries() %}
    {% set read_with = [
        'erased_keys', 'int_erased_hashes', 'int_delivered_keys', 'int_session_files',
        'int_sessions_unioned'
    ] %}
    {% set sources = sources_with_session_files() if flags.WHICH in ['build', 'run'] else [] %}
    {% for source in sources %}
        {% do read_with.append('stg_' ~ source ~ '__sessions') %}
    {% endfor %}
    {% if sources and are_in_this_build(read_with) %}
        {% set definition = sql_text(definition_of_deliveries(seeds)) %}
        {% for source in sources %}
            {% do run_query(
                "update raw_" ~ source ~ ".session_files set delivery_key = " ~ row_key(
                    definition,
                    "concat_ws('|', '" ~ source ~ "', loaded_from, bytes, epoch(modified_at), columns_read)"
                ) ~ " where is_settled"
            ) %}
        {% endfor %}
        {% set built = adapter.get_relation(
            database=this.database, schema=this.schema, identifier=this.identifier
        ) %}
        {% if built and 'file_key' in (
            adapter.get_columns_in_relation(built) | map(attribute='name')
        ) %}
            {% for source in sources %}
                {% do run_query(
                    "update raw_" ~ source ~ ".session_files set is_kept = delivery_key in ("
                    ~ unchanged_deliveries(built) ~ ")"
                ) %}
            {% endfor %}
        {% endif %}
    {% endif %}
{% endmacro %}

{#-
  Is the model built anew from all deliveries? So it is where nothing is kept: also where the code, and
  with it perhaps the columns, is another one.
-#}
{% macro is_for_all_deliveries() %}
    {{ return(execute and not query_column(
        'select 1 from (' ~ session_deliveries() ~ ') as deliveries where is_kept limit 1'
    )) }}
{% endmacro %}

{#-
  Keys of the deliveries whose rows are right as they stand. Some are not although their file is as it
  was: rows that were in the future or have become too old, rows that another file has refused since,
  and rows that were refused by a row that is gone. Of rows that are too old or were made anonymous
  nothing is kept that could tell what was refused.
-#}
{% macro unchanged_deliveries(built) %}
    with deliveries as (

        {{ session_deliveries() }}

    ),

    refusals as (

        select
            source,
            session_id,
            max({{ delivered_when() }}) as refused_until
        from {{ ref('int_sessions_unioned') }}
        where {{ lacks_consent() }}
        group by source, session_id

    ),

    outdated as (

        select delivery_key
        from {{ built }}
        where
            coalesce(rejection_reason, 'future_time') = 'future_time'
            and (rejection_reason is null) = ({{ is_in_the_future('started_at') }})
        {% if retention_days() %}
        union all
        select delivery_key
        from {{ built }}
        where {{ is_plausible_time('started_at') }} and {{ is_beyond_retention('started_at') }}
        union all
        select delivery_key
        from {{ built }}
        where
            rejection_reason = 'beyond_retention'
            and source in (select refusals.source from refusals)
        {% endif %}
        union all
        select built.delivery_key
        from {{ built }} as built
        inner join refusals
            on
                built.source = refusals.source
                and built.session_id = refusals.session_id
        {{ join_session_files('built') }}
        where {{ delivered_when() }} <= refusals.refused_until
        union all
        select built.delivery_key
        from {{ built }} as built
        where
            {% if is_anonymising() %}
            built.is_anonymous
            or built.rejection_reason = 'no_consent'
            {% else %}
            built.rejection_reason = 'no_consent'
            and exists (
                select 1 from {{ built }} as gone
                where
                    gone.source = built.source
                    and gone.rejection_reason in ('no_consent', 'erased_person')
                    and (
                        gone.delivery_key is null
                        or gone.delivery_key not in (
                            select deliveries.delivery_key from deliveries
                            where deliveries.delivery_key is not null
                        )
                    )
            )
            {% endif %}

    )

    select delivery_key
    from deliveries
    where
        delivery_key in (select built.delivery_key from {{ built }} as built)
        and delivery_key not in (
            select outdated.delivery_key from outdated
            where outdated.delivery_key is not null
        )
{% endmacro %}

{#-
  Condition: is a row of a delivery that is to be read? Files are named, so that only these are opened;
  what is of no file is read every time. Always true in a build of all deliveries and in a unit test.
-#}
{% macro is_of_changed_delivery(table) -%}
    {%- if not execute or not (this and is_incremental()) -%}
        true
    {%- else -%}
        {%- set changed = {} -%}
        {%- for row in run_query(
            'select source, loaded_from from (' ~ session_deliveries() ~ ') as deliveries'
            ~ ' where not coalesce(is_kept, false)'
        ) -%}
            {%- do changed.setdefault(row[0], []).append(sql_text(row[1])) -%}
        {%- endfor -%}
        (
            {{ table }}.loaded_from is null
            {%- for source, files in changed.items() %}
            or ({{ table }}.source = '{{ source }}' and {{ table }}.loaded_from in ({{ files | join(', ') }}))
            {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}

{#- The strategy: deliveries that are not kept lose their rows, and get those read now. -#}
{% macro get_incremental_changed_deliveries_sql(arguments) %}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments.target_relation }}
    where delivery_key is null or delivery_key not in (
        select delivery_key from ({{ session_deliveries() }}) as deliveries
        where is_kept
    );
    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
{% endmacro %}

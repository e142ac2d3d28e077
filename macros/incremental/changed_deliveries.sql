{#-
  Sessions keep the rows of a file until the file changes, or what else these follow from: they are an
  incremental model of the strategy changed_deliveries; docs/incremental.md says how it works.
-#}

{% macro forget_session_files(source) %}
    {% do run_query(
        "create or replace table raw_" ~ source ~ ".session_files (loaded_from varchar,"
        ~ " bytes bigint, modified_at timestamptz, is_settled boolean, columns_read varchar)"
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
        {% do literals.append(sql_text(name)) %}
    {% endfor %}
    {% do run_query(
        "insert into raw_" ~ source ~ ".session_files select filename, size, last_modified,"
        ~ " last_modified < now() - interval 2 second, "
        ~ sql_text(local_md5(columns_of(files.relation) | string))
        ~ " from read_blob([" ~ literals | join(', ') ~ "])"
    ) %}
{% endmacro %}

{#-
  The files of sessions as they are now. delivery_key stands for the file, as it is, and for all that
  its rows follow from beside; null where the file is not settled.
-#}
{% macro session_deliveries() %}
    {%- set landed = query_column(
        "select table_schema from information_schema.tables where table_name = 'session_files'"
        ~ " and table_catalog = " ~ sql_text(target.database)
    ) if execute and model.resource_type != 'unit_test' else [] -%}
    {%- set deliveries = [] -%}
    {%- for source in enabled_sources() if 'raw_' ~ source in landed -%}
        {%- set delivery -%}
    select
        '{{ source }}' as source,
        loaded_from,
        case
            when is_settled
                then {{ row_key(sql_text(definition_of_deliveries()), "concat_ws("
                    ~ "'|', '" ~ source ~ "', loaded_from, bytes, epoch(modified_at), columns_read)") }}
        end as delivery_key
    from raw_{{ source }}.session_files
        {%- endset -%}
        {%- do deliveries.append(delivery) -%}
    {%- endfor -%}
    {{ deliveries | join('\n    union all\n    ') or
        'select null as source, null as loaded_from, cast(null as bigint) as delivery_key where false' }}
{% endmacro %}

{#- Beside code and settings: parameters that the loaded seed names, and who was erased. -#}
{% macro definition_of_deliveries() %}
    {% set erased = erased_persons_file() %}
    {{ return(local_md5(
        code_and_settings() ~ click_id_parameters() ~ (
            query_column("select content from read_text(" ~ sql_text(erased) ~ ")") if erased
        )
    )) }}
{% endmacro %}

{#- Is the model built anew from all deliveries? -#}
{% macro is_for_all_deliveries() %}
    {% set built = adapter.get_relation(
        database=this.database, schema=this.schema, identifier=this.identifier
    ) if execute %}
    {% if not built or 'delivery_key' not in (
        adapter.get_columns_in_relation(built) | map(attribute='name')
    ) %}
        {{ return(true) }}
    {% endif %}
    {{ return(not query_column(
        'select delivery_key from (' ~ session_deliveries() ~ ') as deliveries'
        ~ ' where delivery_key in (select delivery_key from ' ~ built ~ ')'
    )) }}
{% endmacro %}

{#-
  Keys of the deliveries whose rows are right as they stand. Some are not although their file is as it
  was: rows that were in the future or have become too old, rows that another file has refused since,
  and rows that were refused by a file that is gone or has changed. Rows made anonymous follow from
  all rows of their id, which is not kept.
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
        where {{ is_beyond_retention('started_at') }}
        {% endif %}
        union all
        select built.delivery_key
        from {{ built }} as built
        inner join refusals
            on
                built.source = refusals.source
                and built.session_id = refusals.session_id
        where {{ delivered_when() }} <= refusals.refused_until
        union all
        select delivery_key
        from {{ built }}
        where
            {% if is_anonymising() %}
            is_anonymous
            or rejection_reason = 'no_consent'
            {% else %}
            rejection_reason = 'no_consent'
            and exists (
                select 1 from {{ built }} as gone
                where
                    gone.rejection_reason = 'no_consent'
                    and gone.delivery_key not in (
                        select deliveries.delivery_key from deliveries
                        where deliveries.delivery_key is not null
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
            ~ ' where delivery_key is null or delivery_key not in (' ~ unchanged_deliveries(this) ~ ')'
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

{#- The strategy: deliveries that have changed or are gone lose their rows, and get those read now. -#}
{% macro get_incremental_changed_deliveries_sql(arguments) %}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments.target_relation }}
    where delivery_key is null or delivery_key not in (
        {{ unchanged_deliveries(arguments.target_relation) }}
    );
    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
{% endmacro %}

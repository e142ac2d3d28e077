{#-
  Touchpoints keep the rows of a delivery of sessions until the delivery changes, or what else these
  follow from: the person of a cookie, or other rows of their id. They are an incremental model of the
  strategy changed_touchpoints; docs/incremental.md says how it works.
-#}

{#-
  The touchpoints of the build before, read by what comes before them, so no ref; none where there are
  none, or an earlier version wrote them in other columns.
-#}
{% macro touchpoints_of_before() %}
    {% set node = graph.nodes['model.tributary.int_touchpoints']
        if execute and model.resource_type != 'unit_test' %}
    {% set touchpoints = adapter.get_relation(
        database=node.database, schema=node.schema, identifier=node.alias
    ) if node %}
    {% set columns = adapter.get_columns_in_relation(touchpoints) if touchpoints else [] %}
    {{ return(touchpoints if 'own_person_key' in columns | map(attribute='name') else none) }}
{% endmacro %}

{#- The models that say what touchpoints follow from, and are read for the changed ones. -#}
{% macro are_touchpoints_read_with_their_code() %}
    {{ return(are_in_this_build([
        'int_sessions_checked', 'int_sessions', 'int_repeated_keys', 'int_traffic_channels',
        'int_entity_persons', 'int_touchpoints_unioned', 'int_named_touchpoints'
    ])) }}
{% endmacro %}

{#-
  Comes after sessions are checked, in one transaction with it: rows of touchpoints that follow from
  deliveries which were read again, or are gone, are of no delivery from here on. With --full-refresh all
  were read again.
-#}
{% macro forget_changed_deliveries() %}
    {% set touchpoints = touchpoints_of_before() %}
    {% if touchpoints %}
        update {{ touchpoints }} set delivery_key = null
        where
            delivery_key is not null
            {%- if not flags.FULL_REFRESH %}
            and delivery_key not in (
                select deliveries.delivery_key from ({{ session_deliveries() }}) as deliveries
                where deliveries.is_kept and deliveries.delivery_key is not null
            )
            {%- endif %}
    {% endif %}
{% endmacro %}

{#- Keys of deliveries whose sessions are no touchpoints yet. -#}
{% macro new_deliveries(touchpoints) %}
    {{ return(query_column(
        "select delivery_key from (" ~ session_deliveries() ~ ") as deliveries where delivery_key is not null"
        ~ " except select delivery_key from " ~ touchpoints ~ " order by delivery_key"
    )) }}
{% endmacro %}

{#- Condition: is a session of a delivery whose sessions are no touchpoints yet, or of none? -#}
{% macro is_of_new_delivery(touchpoints) -%}
    {%- set keys = new_deliveries(touchpoints) -%}
    (delivery_key is null{% if keys %} or delivery_key in ({{ keys | join(', ') }}){% endif %})
{%- endmacro %}

{#-
  Condition: may the id of a session be one that other usable rows have? Ids of which that was known are
  marked in the touchpoints; others have come with new deliveries. None where nothing is known: also where
  sessions were checked before this build, which then does not know what deliveries they are of.
-#}
{% macro may_be_repeated() %}
    {% set touchpoints = touchpoints_of_before() if not (
        flags.FULL_REFRESH or are_all_touchpoints_new()
    ) %}
    {{ return(
        is_of_new_delivery(touchpoints) ~ ' or session_key in (select touchpoint_key from '
        ~ touchpoints ~ ' where is_repeated)' if touchpoints
    ) }}
{% endmacro %}

{#- Are touchpoints made anew, all of them? So they are where no delivery is as it was. -#}
{% macro are_all_touchpoints_new() %}
    {% set touchpoints = touchpoints_of_before() %}
    {{ return(
        touchpoints is none
        or not are_touchpoints_read_with_their_code()
        or not query_column(
            'select 1 from ' ~ touchpoints ~ ' where delivery_key is not null limit 1'
        )
    ) }}
{% endmacro %}

{#- Touchpoints whose cookie has another person than before. -#}
{% macro touchpoints_of_moved_cookies(touchpoints, entity_persons) %}
    select touchpoints.touchpoint_key
    from {{ touchpoints }} as touchpoints
    left join (
        select
            {{ row_key('source', own_person_id('user', 'entity_key')) }} as own_person_key,
            {{ row_key('source', 'person_id') }} as person_key
        from {{ entity_persons }}
        where entity = 'user'
    ) as persons
        on coalesce(touchpoints.own_person_key, touchpoints.person_key) = persons.own_person_key
    where
        touchpoints.delivery_key is not null
        and touchpoints.person_key != coalesce(
            persons.person_key, touchpoints.own_person_key, touchpoints.person_key
        )
{% endmacro %}

{#-
  Condition: is a touchpoint another one than in the build before, or may it be? So are those of new
  deliveries and of none; whose id other rows have, or had; and whose cookie has another person. Always
  true where all are made anew, and in a unit test.
-#}
{% macro is_changed_touchpoint() -%}
    {%- set repeated_keys, entity_persons = ref('int_repeated_keys'), ref('int_entity_persons') -%}
    {%- if not execute or not (this and is_incremental()) -%}
        true
    {%- else -%}
        {{ is_of_new_delivery(this) }}
        {%- for keys in [
            'select session_key from ' ~ repeated_keys ~ ' where session_key is not null',
            'select touchpoint_key from ' ~ this ~ ' where is_repeated',
            touchpoints_of_moved_cookies(this, entity_persons)
        ] if query_column('select 1 from (' ~ keys ~ ') as changed limit 1') %}
        or touchpoint_key in ({{ keys }})
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{#- The strategy: changed touchpoints lose their rows, and those that there are get them made now. -#}
{% macro get_incremental_changed_touchpoints_sql(arguments) %}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments.target_relation }}
    where
        delivery_key is null
        or touchpoint_key in (select touchpoint_key from {{ arguments.temp_relation }});
    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
{% endmacro %}

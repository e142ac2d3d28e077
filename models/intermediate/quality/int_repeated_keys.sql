-- grain: one row per source, entity and id that more than one usable row has. session_key stands
-- for the id where sessions are looked up, of which there are many.
{%- set condition = may_be_repeated() %}
{%- set entities_but_sessions = entities().items() | rejectattr(0, 'equalto', 'sessions') %}

with sessions as (

    select * from {{ ref('int_sessions_checked') }}
    where rejection_reason is null

),
{%- if condition %}

candidates as (

    select session_key
    from {{ ref('int_sessions_checked') }}
    where rejection_reason is null and ({{ condition }})

),
{%- endif %}

-- Of sessions there are many: their ids are looked at only where a hash of them repeats. Each time
-- they are read from the table: DuckDB would store a CTE that is read again, with all its columns.
repeated_session_keys as (

    select session_key
    from {{ ref('int_sessions_checked') }}
    where rejection_reason is null
    {%- if condition %} and session_key in (select candidates.session_key from candidates){% endif %}
    group by session_key
    having count(*) > 1

),

final as (

    select
        sessions.source,
        'sessions' as entity,
        sessions.session_id as entity_key,
        sessions.session_key
    from sessions
    inner join repeated_session_keys
        on sessions.session_key = repeated_session_keys.session_key
    group by sessions.source, sessions.session_id, sessions.session_key
    having count(*) > 1
    {% for entity, columns in entities_but_sessions %}
    union all
    select
        source,
        '{{ entity }}' as entity,
        {{ columns.key }} as entity_key,
        cast(null as bigint) as session_key
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where
        rejection_reason is null
        and {{ columns.key }} is not null
    group by source, {{ columns.key }}
    having count(*) > 1
    {% endfor %}

)

select * from final

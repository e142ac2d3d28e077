-- grain: one row per session (spend 0 where it has no cost) and per cost row; nothing is dropped.
-- A cost without a session has neither date nor channel; a session listed twice counts its cost once.
{{ config(enabled=is_source_enabled('ihc')) }}

with session_sources as (

    select * from {{ source('ihc', 'session_sources') }}

),

session_costs as (

    select * from {{ source('ihc', 'session_costs') }}

),

sessions as (

    select
        session_id,
        min(event_date) as event_date,
        min(channel_name) as channel_name
    from session_sources
    where session_id is not null
    group by session_id

),

joined as (

    select
        coalesce(sessions.session_id, session_costs.session_id) as session_id,
        sessions.event_date,
        sessions.channel_name,
        session_costs.cost
    from sessions
    full outer join session_costs
        on sessions.session_id = session_costs.session_id

),

final as (

    select
        'ihc' as source,
        cast({{ to_utc_timestamp('event_date') }} as date) as spend_date,
        {{ to_text('channel_name') }} as channel,
        cast(null as varchar) as campaign,
        cast(null as varchar) as account,
        {{ to_text('session_id') }} as touchpoint_id,
        {{ to_amount('cost') }} as spend,
        {{ row_as_json('joined') }} as raw_row
    from joined

)

select * from final

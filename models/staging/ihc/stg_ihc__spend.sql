-- grain: one row per session and per cost without a session. A session without a cost has spend 0,
-- so that its channel and day are reported; a session listed twice carries its cost once, on the
-- row that is used; a cost without a session has neither date nor channel.
{{ config(enabled=is_source_enabled('ihc')) }}

with delivered_sessions as (

    select * from {{ ref('stg_ihc__sessions') }}

),

session_costs as (

    select * from {{ source('ihc', 'session_costs') }}

),

ranked as (

    select
        session_id,
        started_at,
        channel,
        row_number() over (
            partition by session_id
            order by
                case {{ session_faults() }} end is not null,
                {{ delivery_order('sessions') }}
        ) as delivery_number
    from delivered_sessions
    where session_id is not null

),

costs as (

    select
        {{ to_text('session_id') }} as session_id,
        {{ to_amount('cost') }} as spend,
        {{ row_as_json('session_costs') }} as raw_row
    from session_costs

),

sessions as (

    select
        session_id,
        channel,
        cast(started_at as date) as spend_date
    from ranked
    where delivery_number = 1

),

final as (

    select
        'ihc' as source,
        cast(null as varchar) as spend_id,
        sessions.spend_date,
        sessions.channel,
        costs.raw_row,
        cast(null as timestamp) as loaded_at,
        cast(null as varchar) as loaded_from,
        cast(null as varchar) as campaign,
        cast(null as varchar) as account,
        cast(null as varchar) as currency,
        coalesce(sessions.session_id, costs.session_id) as touchpoint_id,
        case when costs.raw_row is null then 0 else costs.spend end as spend
    from sessions
    full outer join costs
        on sessions.session_id = costs.session_id

)

select * from final

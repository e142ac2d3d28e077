-- grain: one row per row of session_sources; nothing is dropped.
{{ config(enabled=is_source_enabled('ihc')) }}

with session_sources as (

    select * from {{ source('ihc', 'session_sources') }}

),

read_sessions as (

    select
        'ihc' as source,
        {{ to_text('session_id') }} as session_id,
        {{ to_text('user_id') }} as user_id,
        {{ to_utc_timestamp("event_date || ' ' || event_time") }} as started_at,
        {{ to_text('channel_name') }} as channel,
        cast(null as varchar) as traffic_source,
        cast(null as varchar) as medium,
        cast(null as varchar) as campaign,
        cast(null as varchar) as referrer,
        cast(null as varchar) as landing_page,
        {{ to_flag('holder_engagement') }} as holder_engagement,
        {{ to_flag('closer_engagement') }} as closer_engagement,
        {{ to_flag('impression_interaction') }} as impression_interaction,
        cast(null as boolean) as has_consent,
        {{ whole_row('session_sources') }} as delivered_row,
        cast(null as timestamp) as loaded_at,
        cast(null as varchar) as loaded_from
    from session_sources

),

final as (

    select
        *,
        {{ session_as_json('delivered_row') }} as raw_row
    from read_sessions

)

select * from final

-- grain: one row per delivered session row; rejection_reason is null where it can be used. Of a row
-- that may not be kept, the reason; of any other that is rejected, raw_row.
-- A table, unlike its siblings: texts and times are read once, not by each model that asks; and of
-- files that are as they were in the build before, not again.
{{ config(
    materialized='incremental',
    incremental_strategy='changed_deliveries',
    meta={'fsst_columns': ['session_id', 'user_id']},
    post_hook=['{{ forget_changed_deliveries() }}', '{{ forget_names_of_gone_files() }}']
) }}
{%- do decide_deliveries() %}

with {{ consented_rows('sessions', is_of_changed_delivery('delivered')) }},

deliveries as (

    {{ session_deliveries() }}

),

session_files as (

    select * from {{ ref('int_session_files') }}

),

delivered_files as (

    select
        deliveries.source,
        deliveries.loaded_from,
        deliveries.delivery_key,
        session_files.file_key
    from deliveries
    left join session_files
        on
            deliveries.source = session_files.source
            and deliveries.loaded_from = session_files.loaded_from

),

delivered_sessions as (

    select
        sessions.*,
        delivered_files.delivery_key,
        delivered_files.file_key
    from sessions
    left join delivered_files
        on
            sessions.source = delivered_files.source
            and sessions.loaded_from = delivered_files.loaded_from

),

checked as (

    select
        source,
        {{ unless_anonymous('session_id', nobody()) }},
        {{ unless_anonymous('user_id', nobody()) }},
        started_at,
        channel,
        traffic_source,
        medium,
        {{ campaign_or_tag() }},
        {{ unless_anonymous('referrer') }},
        {{ unless_anonymous('landing_page') }},
        holder_engagement,
        closer_engagement,
        impression_interaction,
        {{ unless_anonymous('raw_row') }},
        loaded_at,
        file_key,
        {{ is_anonymous() }} as is_anonymous,
        {{ traffic('session', [
            'channel', 'traffic_source', 'medium', 'campaign', 'referrer', 'landing_page'
        ]) }} as traffic,
        case
            {{ privacy_reasons('sessions', 'started_at', consent='touches') }}
            {{ session_faults() }}
        end as rejection_reason,
        delivery_key
    from delivered_sessions

),

final as (

    select
        {{ stored_source('source') }} as source,
        delivery_key,
        rejection_reason,
        case when rejection_reason is null then {{ row_key('source', 'session_id') }} end
            as session_key,
        {%- for column in ['session_id', 'traffic', 'is_anonymous', 'loaded_at', 'file_key']
            + entities().sessions.content %}
        {{ if_kept(column) }},
        {%- endfor %}
        case
            when rejection_reason not in {{ reasons_that_keep_nothing() }} then raw_row
        end as raw_row
    from checked

)

select * from final

-- grain: one row per delivered call row; rejection_reason is null where it can be used.
{{ config(materialized='view', schema='restricted') }}

with {{ consented_rows('calls') }},

final as (

    select
        source,
        {{ unless_anonymous('call_id', nobody()) }},
        called_at,
        {{ unless_anonymous('phone') }},
        {{ unless_anonymous('email') }},
        {{ unless_anonymous('user_id') }},
        channel,
        traffic_source,
        medium,
        {{ campaign_or_tag() }},
        referral_source_id,
        tracking_label,
        {{ unless_anonymous('landing_page') }},
        {{ unless_anonymous('first_touch') }},
        {{ unless_anonymous('last_touch') }},
        duration_seconds,
        {{ unless_anonymous('raw_row') }},
        loaded_at,
        loaded_from,
        {{ is_anonymous() }} as is_anonymous,
        {{ traffic('call', [
            'channel', 'traffic_source', 'medium', 'campaign', 'landing_page', 'tracking_label',
            'referral_source_id'
        ]) }} as traffic,
        case
            {{ privacy_reasons('calls', 'called_at', consent='touches') }}
            when call_id is null then 'missing_id'
            when called_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('called_at') }}) then 'implausible_time'
            when {{ is_in_the_future('called_at') }} then 'future_time'
            when channel in {{ reserved_channels() }} then 'reserved_channel'
        end as rejection_reason
    from calls

)

select * from final

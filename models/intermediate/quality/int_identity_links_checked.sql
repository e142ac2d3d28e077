-- grain: one row per delivered identity link row; rejection_reason is null where it can be used.
{{ config(materialized='view', schema='restricted') }}

with {{ consented_rows('identity_links') }},

final as (

    select
        source,
        {{ unless_anonymous('link_id', nobody()) }},
        linked_at,
        {{ unless_anonymous('user_id') }},
        {{ unless_anonymous('customer_id') }},
        {{ unless_anonymous('phone') }},
        {{ unless_anonymous('email') }},
        kind,
        channel,
        traffic_source,
        medium,
        {{ campaign_or_tag() }},
        {{ unless_anonymous('landing_page') }},
        {{ unless_anonymous('raw_row') }},
        loaded_at,
        loaded_from,
        {{ is_anonymous() }} as is_anonymous,
        {{ traffic('form', [
            'channel', 'traffic_source', 'medium', 'campaign', 'landing_page'
        ]) }} as traffic,
        case
            {{ privacy_reasons('identity_links', 'linked_at', consent='touches and logins') }}
            when kind not in ('login', 'form') then 'unknown_kind'
            when coalesce(user_id, customer_id, phone, email) is null then 'missing_person'
            -- A login ties two of cookie, customer and contact together.
            when
                kind = 'login' and (
                    coalesce(user_id, customer_id) is null
                    or coalesce(user_id, phone, email) is null
                    or coalesce(customer_id, phone, email) is null
                ) then 'links_nothing'
            when linked_at is null then 'unreadable_time'
            when not ({{ is_plausible_time('linked_at') }}) then 'implausible_time'
            when {{ is_in_the_future('linked_at') }} then 'future_time'
            when channel in {{ reserved_channels() }} then 'reserved_channel'
        end as rejection_reason
    from identity_links

)

select * from final

-- grain: one row per row that an enabled source delivered, valid or not.
with unioned as (

    {% for source in enabled_sources() %}
    select
        source,
        session_id,
        user_id,
        started_at,
        channel,
        traffic_source,
        medium,
        campaign,
        referrer,
        landing_page,
        holder_engagement,
        closer_engagement,
        impression_interaction,
        has_consent,
        raw_row,
        loaded_at,
        loaded_from
    from {{ ref('stg_' ~ source ~ '__sessions') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from unioned

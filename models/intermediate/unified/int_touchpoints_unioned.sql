-- grain: one row per row that an enabled source delivered, valid or not.
with unioned as (

    {% for source in enabled_sources() %}
    select
        source,
        touchpoint_id,
        person_id,
        touched_at,
        channel,
        traffic_source,
        medium,
        campaign,
        holder_engagement,
        closer_engagement,
        impression_interaction,
        raw_row
    from {{ ref('stg_' ~ source ~ '__touchpoints') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from unioned

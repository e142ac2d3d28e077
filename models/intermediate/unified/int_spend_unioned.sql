-- grain: one row per row that an enabled source delivered, valid or not.
with unioned as (

    {% for source in enabled_sources() %}
    select
        source,
        spend_id,
        spend_date,
        channel,
        campaign,
        account,
        touchpoint_id,
        spend,
        currency,
        raw_row,
        loaded_at,
        loaded_from
    from {{ ref('stg_' ~ source ~ '__spend') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from unioned

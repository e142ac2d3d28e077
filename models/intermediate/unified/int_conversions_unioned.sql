-- grain: one row per row that an enabled source delivered, valid or not.
with unioned as (

    {% for source in enabled_sources() %}
    select
        source,
        conversion_id,
        user_id,
        conversion_type,
        converted_at,
        revenue,
        currency,
        raw_row,
        loaded_at,
        loaded_from
    from {{ ref('stg_' ~ source ~ '__conversions') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from unioned

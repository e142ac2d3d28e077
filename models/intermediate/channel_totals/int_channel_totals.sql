-- grain: one row per attribution model with totals of its own, conversion type and channel touched,
-- (baseline) among them. conversions and revenue are additive within one model; errors are not.
{{ config(materialized='view') }}

with final as (

    {% for model, table in channel_total_tables().items() %}
    select
        '{{ model }}' as attribution_model,
        conversion_type,
        channel,
        conversions,
        revenue,
        conversions_std_error,
        {{ or_nothing('conversions_low') }} as conversions_low,
        {{ or_nothing('conversions_high') }} as conversions_high
    from {{ ref(table) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final

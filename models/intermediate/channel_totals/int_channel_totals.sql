-- grain: one row per attribution model with totals of its own, conversion type and channel touched.
-- conversions and revenue are additive within one model; errors are not additive.
{{ config(materialized='view') }}

with final as (

    {% for model in channel_total_models() %}
    select
        '{{ model }}' as attribution_model,
        conversion_type,
        channel,
        conversions,
        revenue,
        conversions_std_error,
        conversions_low,
        conversions_high
    from {{ ref('int_' ~ model ~ '_channel_totals') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final

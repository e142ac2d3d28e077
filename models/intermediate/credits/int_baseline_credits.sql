-- grain: one row per conversion with a touchpoint and attribution model with a baseline: what its
-- touchpoints did not bring about. credit is additive within one model.
{%- set baselines = baseline_models() | select('in', computed_models()) | list %}

with final as (

    -- Less than a trillionth is what rounding leaves of 1 less all credits.
    {% for table, models in credit_tables().items() %}
    {% for model in models if model in baselines %}
    select
        conversion_key,
        '{{ model }}' as attribution_model,
        case when 1 - sum({{ model }}) > 1e-12 then 1 - sum({{ model }}) else 0 end as credit
    from {{ ref(table) }}
    group by conversion_key
    union all
    {% endfor %}
    {% endfor %}
    select
        cast(null as bigint) as conversion_key,
        null as attribution_model,
        null as credit
    where false

)

select * from final

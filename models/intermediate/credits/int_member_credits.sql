-- grain: one row per conversion, touchpoint and enabled attribution model but the ensemble; models
-- with a baseline have one more row per conversion, with the key of the baseline. credit adds up to
-- 1 per conversion and model; do not sum across models.
{{ config(materialized='view') }}
{%- set computed = computed_models() %}

with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

credits as (

    {% for table, models in credit_tables().items() %}
    {% for model in models if model in computed %}
    select
        conversion_key,
        touchpoint_key,
        '{{ model }}' as attribution_model,
        {{ model }} as credit
    from {{ ref(table) }}
    union all
    {% endfor %}
    {% endfor %}
    select
        conversion_key,
        {{ baseline_key() }} as touchpoint_key,
        attribution_model,
        credit
    from {{ ref('int_baseline_credits') }}

),

final as (

    select credits.*
    from credits
    inner join enabled_models
        on credits.attribution_model = enabled_models.attribution_model

)

select * from final

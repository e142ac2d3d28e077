-- grain: one row per conversion, touchpoint and enabled attribution model; models with a baseline
-- have one more row per conversion, with the key of the baseline. credit adds up to 1 per
-- conversion and model; do not sum across models.
{{ config(materialized='view') }}

with member_credits as (

    select * from {{ ref('int_member_credits') }}

),

ensemble_credits as (

    select * from {{ ref('int_ensemble_credits') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

final as (

    select
        conversion_key,
        touchpoint_key,
        attribution_model,
        null as agreement,
        credit
    from member_credits
    union all
    select
        ensemble_credits.conversion_key,
        ensemble_credits.touchpoint_key,
        enabled_models.attribution_model,
        ensemble_credits.agreement,
        ensemble_credits.ensemble as credit
    from ensemble_credits
    inner join enabled_models
        on enabled_models.attribution_model = 'ensemble'

)

select * from final

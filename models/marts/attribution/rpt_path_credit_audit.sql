-- grain: one row per attribution model with totals of its own, conversion type and channel touched.
-- All measures are additive within one model.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

path_credit_weights as (

    select * from {{ ref('int_path_credit_weights') }}

),

final as (

    select
        path_credit_weights.attribution_model,
        path_credit_weights.conversion_type,
        path_credit_weights.channel,
        path_credit_weights.target_conversions,
        path_credit_weights.credited_conversions,
        path_credit_weights.solo_conversions,
        path_credit_weights.is_met
    from path_credit_weights
    inner join enabled_models
        on path_credit_weights.attribution_model = enabled_models.attribution_model

)

select * from final

-- grain: one row per attribution model with totals of its own, conversion type and channel touched.
-- credited_conversions are additive within one model and add up to the attributed conversions.
with path_credit_weights as (

    select * from {{ ref('path_credit_weights') }}

),

final as (

    select
        cast(attribution_model as varchar) as attribution_model,
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(weight as double) as weight,
        cast(target_conversions as double) as target_conversions,
        cast(credited_conversions as double) as credited_conversions,
        cast(solo_conversions as double) as solo_conversions,
        cast(is_met as boolean) as is_met,
        cast(iterations as bigint) as iterations
    from path_credit_weights

)

select * from final

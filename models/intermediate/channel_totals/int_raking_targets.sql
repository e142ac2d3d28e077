-- grain: one row per attribution model whose credits are raked, conversion type and channel
-- touched, (baseline) among them. conversions are additive within one model.
{{ config(materialized='view') }}

with channel_totals as (

    select * from {{ ref('int_channel_totals') }}

),

final as (

    select
        attribution_model,
        conversion_type,
        channel,
        conversions
    from channel_totals
    where attribution_model in ({{ quoted_list(raked_models()) }})

)

select * from final

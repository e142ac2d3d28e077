-- grain: one row per conversion type and channel; one share column per attribution model. Each
-- column adds up to 1 per conversion type (it is empty where the model is not enabled).
with channel_attribution as (

    select * from {{ ref('rpt_channel_attribution') }}

),

final as (

    select
        conversion_type,
        channel,
        {{ pivoted_by_model('share') }}
    from channel_attribution
    group by conversion_type, channel

)

select * from final

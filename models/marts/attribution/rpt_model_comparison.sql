-- grain: one row per conversion type and channel; one share column per attribution model that
-- Tributary ships. Each adds up to 1 per conversion type (it is empty where the model is not
-- enabled). mean_share and the columns after it are over all enabled models, your own included;
-- they are not additive.
with channel_attribution as (

    select * from {{ ref('rpt_channel_attribution') }}

),

ranked as (

    -- Shares that differ by less than rounding are the same share, and the first name counts.
    select
        *,
        row_number() over (
            partition by conversion_type, channel
            order by round(share, 12) asc, attribution_model asc
        ) as share_rank,
        row_number() over (
            partition by conversion_type, channel
            order by round(share, 12) desc, attribution_model asc
        ) as reverse_share_rank
    from channel_attribution

),

final as (

    select
        conversion_type,
        channel,
        {{ pivoted_by_model('share', shipped_models()) }},
        avg(share) as mean_share,
        min(share) as lowest_share,
        max(case when share_rank = 1 then attribution_model end) as lowest_share_model,
        max(share) as highest_share,
        max(case when reverse_share_rank = 1 then attribution_model end) as highest_share_model
    from ranked
    group by conversion_type, channel

)

select * from final

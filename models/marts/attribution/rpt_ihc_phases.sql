-- grain: one row per conversion type and channel. initializer, holder and closer count conversions
-- and do not add up to each other; the three credits add up to ihc, and ihc, with the
-- (unattributed) row, to all conversions. Empty where the model ihc is not enabled.
with channel_attribution as (

    select * from {{ ref('rpt_channel_attribution') }}
    where attribution_model = 'ihc'

),

channels as (

    select * from {{ ref('int_channels') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

ihc_credits as (

    select * from {{ ref('int_ihc_credits') }}

),

phases as (

    select
        journey_windows.conversion_type,
        channels.channel,
        sum(ihc_credits.initializer) as initializer,
        sum(ihc_credits.holder) as holder,
        sum(ihc_credits.closer) as closer,
        sum(ihc_credits.initializer_credit) as initializer_credit,
        sum(ihc_credits.holder_credit) as holder_credit,
        sum(ihc_credits.closer_credit) as closer_credit
    from ihc_credits
    inner join channels
        on ihc_credits.channel_key = channels.channel_key
    inner join journey_windows
        on ihc_credits.conversion_key = journey_windows.conversion_key
    group by journey_windows.conversion_type, channels.channel

),

final as (

    select
        channel_attribution.conversion_type,
        channel_attribution.channel,
        channel_attribution.conversions as ihc,
        channel_attribution.share,
        coalesce(phases.initializer, 0) as initializer,
        coalesce(phases.holder, 0) as holder,
        coalesce(phases.closer, 0) as closer,
        coalesce(phases.initializer_credit, 0) as initializer_credit,
        coalesce(phases.holder_credit, 0) as holder_credit,
        coalesce(phases.closer_credit, 0) as closer_credit
    from channel_attribution
    left join phases
        on
            channel_attribution.conversion_type = phases.conversion_type
            and channel_attribution.channel = phases.channel

)

select * from final

-- grain: one row per conversion type, channel, ordinal and decay. exposure and repeat_exposure, in
-- person-days of the reporting period, are additive.
with impulses as (

    select * from {{ ref('int_hazard_impulses') }}

),

repeat_exposure as (

    select * from {{ ref('int_hazard_repeat_exposure') }}

),

observed_sources as (

    select * from {{ ref('int_observed_sources') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

lasting as (

    -- Whole days from the midnight after the impulse to the end of the observation, and of those
    -- the days before the reporting period, which do not count.
    select
        impulses.*,
        {{ days_between(
            'cast(impulses.impulse_date as timestamp)', 'observed_sources.ends_at'
        ) }} - 1.0 as days_left,
        {%- if start_date() %}
        impulses.impulse_date < cast(observed_sources.opens_at as date) as is_early,
        {{ days_between(
            'cast(impulses.impulse_date as timestamp)', 'observed_sources.opens_at'
        ) }} - 1.0 as days_early
        {%- else %}
        false as is_early,
        cast(0 as double) as days_early
        {%- endif %}
    from impulses
    inner join observed_sources
        on impulses.source = observed_sources.source
    where impulses.impulse_date <= observed_sources.last_date

),

remaining as (

    -- Person-days from the midnight on, per unit of mass at midnight.
    select
        *,
        case
            when decay_days = 0 then days_left
            else decay_days * (1 - exp(-days_left / nullif(decay_days, 0)))
        end as ahead,
        case
            when not is_early then 0
            when decay_days = 0 then days_early
            else decay_days * (1 - exp(-days_early / nullif(decay_days, 0)))
        end as before_period
    from lasting

),

aggregated as (

    select
        conversion_type,
        channel,
        ordinal,
        decay_days,
        {{ exact_sum(
            'case when is_early then 0 else exposure end'
            ~ ' + mass_at_midnight * (ahead - before_period)'
        ) }} as exposure
    from remaining
    group by conversion_type, channel, ordinal, decay_days

),

final as (

    select
        aggregated.conversion_type,
        aggregated.channel,
        cast(aggregated.ordinal as integer) as ordinal,
        cast(aggregated.decay_days as double) as decay_days,
        aggregated.channel = '(baseline)'
        {%- for decay in hazard_decays() if decay.is_interest %}
        or aggregated.decay_days = {{ decay.days }}
        {%- endfor %}
        or coalesce(channels.channel_group = 'Direct', false) as is_baseline,
        -- Differences of large sums may miss 0, or the part that is the whole, by a rounding error.
        greatest(aggregated.exposure, 0) as exposure,
        case
            when aggregated.channel = '(baseline)' and aggregated.ordinal = 0 then 0
            when aggregated.channel = '(baseline)' then greatest(aggregated.exposure, 0)
            else least(
                coalesce(repeat_exposure.repeat_exposure, 0), greatest(aggregated.exposure, 0)
            )
        end as repeat_exposure
    from aggregated
    left join channels
        on aggregated.channel = channels.channel
    left join repeat_exposure
        on
            aggregated.conversion_type = repeat_exposure.conversion_type
            and aggregated.channel = repeat_exposure.channel
            and aggregated.ordinal = repeat_exposure.ordinal
            and aggregated.decay_days = repeat_exposure.decay_days

)

select * from final

-- grain: one row per measure, source and kind (a conversion type; for interactions the entity): how
-- much of what there is the warehouse can speak of. numerator and denominator are additive within a
-- measure; share is not.
with journeys as (

    select * from {{ ref('fct_journeys') }}

),

match_quality as (

    select * from {{ ref('rpt_match_quality') }}

),

measured as (

    select
        'conversions_with_journey' as measure,
        source,
        conversion_type as kind,
        case when touchpoint_count > 0 then 1 else 0 end as numerator,
        1 as denominator
    from journeys
    union all
    -- Where a journey has one channel alone, that is its first.
    select
        'journeys_with_known_channel' as measure,
        source,
        conversion_type as kind,
        case when distinct_channels > 1 or first_channel != '(unknown)' then 1 else 0 end
            as numerator,
        1 as denominator
    from journeys
    where touchpoint_count > 0
    union all
    select
        'revenue_attributed' as measure,
        source,
        conversion_type as kind,
        case when touchpoint_count > 0 then revenue else 0 end as numerator,
        revenue as denominator
    from journeys
    union all
    select
        'interactions_matched' as measure,
        source,
        entity as kind,
        case when is_matched then interactions else 0 end as numerator,
        interactions as denominator
    from match_quality

),

final as (

    select
        measure,
        source,
        kind,
        cast(sum(numerator) as decimal(38, 10)) as numerator,
        cast(sum(denominator) as decimal(38, 10)) as denominator,
        cast(sum(numerator) as double) / nullif(cast(sum(denominator) as double), 0) as share
    from measured
    group by measure, source, kind

)

select * from final

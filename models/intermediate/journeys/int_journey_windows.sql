-- grain: one row per conversion of the reporting period, with the time from which touches count.
-- revenue is additive.
with conversions as (

    select * from {{ ref('int_conversions') }}

),

instants as (

    select distinct
        person_key,
        conversion_type,
        converted_at
    from conversions

),

preceded as (

    -- Conversions of one person and type at one instant share their journey, so "previous" is the
    -- last earlier instant and not the last earlier row.
    select
        *,
        lag(converted_at) over (
            partition by person_key, conversion_type
            order by converted_at
        ) as previous_converted_at
    from instants

),

final as (

    select
        conversions.source,
        conversions.conversion_id,
        conversions.person_id,
        conversions.conversion_key,
        conversions.person_key,
        conversions.conversion_type,
        conversions.revenue_center,
        conversions.revenue,
        conversions.converted_at,
        preceded.previous_converted_at,
        greatest(
            {{ lookback_opening('conversions.converted_at') }},
            {{ scope_opening('preceded.previous_converted_at') }}
        ) as window_opens_at
    from conversions
    inner join preceded
        on
            conversions.person_key = preceded.person_key
            and conversions.conversion_type = preceded.conversion_type
            and conversions.converted_at = preceded.converted_at
    where {{ in_reporting_period('conversions.converted_at') }}

)

select * from final

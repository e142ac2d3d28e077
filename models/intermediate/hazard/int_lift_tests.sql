-- grain: one row per conversion type, channel, kind and days of a lift test whose channel and type
-- occur. Not additive: tests may overlap.
with lift_tests as (

    select * from {{ ref('lift_tests') }}

),

channel_totals as (

    select * from {{ ref('int_hazard_channel_totals') }}

),

credits as (

    select * from {{ ref('int_hazard_credits') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

removed as (

    select
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        cast(journey_touchpoints.converted_at as date) as converted_on,
        sum(credits.removal_share) as conversions
    from credits
    inner join journey_touchpoints
        on
            credits.source = journey_touchpoints.source
            and credits.conversion_id = journey_touchpoints.conversion_id
            and credits.touchpoint_id = journey_touchpoints.touchpoint_id
    group by
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        cast(journey_touchpoints.converted_at as date)

),

final as (

    select
        lift_tests.conversion_type,
        lift_tests.channel,
        lift_tests.kind,
        lift_tests.start_date,
        lift_tests.end_date,
        lift_tests.lift,
        lift_tests.std_error,
        coalesce(sum(removed.conversions), 0.0) as predicted_lift
    from lift_tests
    inner join channel_totals
        on
            lift_tests.conversion_type = channel_totals.conversion_type
            and lift_tests.channel = channel_totals.channel
    left join removed
        on
            lift_tests.conversion_type = removed.conversion_type
            and lift_tests.channel = removed.channel
            and removed.converted_on between lift_tests.start_date and lift_tests.end_date
    group by
        lift_tests.conversion_type,
        lift_tests.channel,
        lift_tests.kind,
        lift_tests.start_date,
        lift_tests.end_date,
        lift_tests.lift,
        lift_tests.std_error

)

select * from final

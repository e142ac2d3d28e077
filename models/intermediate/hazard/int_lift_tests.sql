-- grain: one row per conversion type, channel, kind and days of a lift test. Not additive: tests
-- may overlap. They come from the seed lift_tests and, of the source files, from the file
-- experiments; one that is listed twice counts once.
with listed_tests as (

    select * from {{ ref('lift_tests') }}

),

{% if is_source_enabled('files') %}
delivered_tests as (

    select * from {{ ref('stg_files__experiments') }}

),

{% endif %}
every_listing as (

    select
        conversion_type,
        channel,
        kind,
        start_date,
        end_date,
        lift,
        std_error
    from listed_tests
    {% if is_source_enabled('files') %}
    union all
    select
        conversion_type,
        channel,
        kind,
        start_date,
        end_date,
        lift,
        std_error
    from delivered_tests
    {% endif %}

),

lift_tests as (

    select distinct *
    from every_listing

),

channel_totals as (

    select * from {{ ref('int_hazard_channel_totals') }}
    where {{ is_computed('hazard_calibrated') }}

),

credits as (

    select * from {{ ref('int_hazard_credits') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

prompts as (

    select * from {{ ref('int_hazard_prompts') }}

),

removed as (

    select
        journey_windows.conversion_type,
        channels.channel,
        cast(journey_windows.converted_at as date) as converted_on,
        sum(credits.removal_share) as conversions
    from credits
    inner join channels
        on credits.channel_key = channels.channel_key
    inner join journey_windows
        on credits.conversion_key = journey_windows.conversion_key
    group by
        journey_windows.conversion_type,
        channels.channel,
        cast(journey_windows.converted_at as date)

),

missed as (

    -- Without a channel, the touches that it prompts are missing too.
    select
        conversion_type,
        channel,
        converted_on,
        conversions
    from removed
    union all
    select
        removed.conversion_type,
        prompts.prompting_channel as channel,
        removed.converted_on,
        removed.conversions * prompts.prompted_share as conversions
    from removed
    inner join prompts
        on removed.channel = prompts.channel

),

predicted as (

    select
        lift_tests.conversion_type,
        lift_tests.channel,
        lift_tests.kind,
        lift_tests.start_date,
        lift_tests.end_date,
        lift_tests.lift,
        lift_tests.std_error,
        coalesce(sum(missed.conversions), 0.0) as predicted_lift
    from lift_tests
    left join missed
        on
            lift_tests.conversion_type = missed.conversion_type
            and lift_tests.channel = missed.channel
            and missed.converted_on between lift_tests.start_date and lift_tests.end_date
    group by
        lift_tests.conversion_type,
        lift_tests.channel,
        lift_tests.kind,
        lift_tests.start_date,
        lift_tests.end_date,
        lift_tests.lift,
        lift_tests.std_error

),

judged as (

    select
        predicted.*,
        case
            when channel_totals.channel is null then 'unknown_channel_or_type'
            -- The model speaks of reported days alone, the test of all of its own.
            when
                not (
                    {{ in_reporting_period('predicted.start_date') }}
                    and {{ in_reporting_period('predicted.end_date') }}
                )
                then 'beyond_reporting_period'
            when predicted.predicted_lift = 0 then 'nothing_predicted'
        end as unused_reason
    from predicted
    left join channel_totals
        on
            predicted.conversion_type = channel_totals.conversion_type
            and predicted.channel = channel_totals.channel

),

final as (

    select
        conversion_type,
        channel,
        kind,
        start_date,
        end_date,
        lift,
        std_error,
        unused_reason,
        case when unused_reason is null then predicted_lift end as predicted_lift
    from judged
    where {{ is_computed('hazard_calibrated') }}

)

select * from final

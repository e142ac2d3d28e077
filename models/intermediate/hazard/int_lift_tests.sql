-- grain: one row per conversion type, channel, kind and days of a lift test whose channel and type
-- occur. Not additive: tests may overlap.
-- They come from the seed lift_tests and, of the source files, from the file experiments.
with listed_tests as (

    select * from {{ ref('lift_tests') }}

),

{% if is_source_enabled('files') %}
delivered_tests as (

    select * from {{ ref('stg_files__experiments') }}

),

{% endif %}
lift_tests as (

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

final as (

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
    inner join channel_totals
        on
            lift_tests.conversion_type = channel_totals.conversion_type
            and lift_tests.channel = channel_totals.channel
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

)

select * from final

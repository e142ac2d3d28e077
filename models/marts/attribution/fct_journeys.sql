-- grain: one row per source and conversion of the reporting period: the journey of its person to
-- it. revenue is additive within one conversion type. touchpoint_count and cost are not additive
-- over conversions: a touchpoint that serves several counts, and costs, in each.
with journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

spend_rows as (

    select * from {{ ref('int_spend') }}

),

channel_day_costs as (

    select * from {{ ref('int_channel_day_costs') }}

),

named_spend as (

    select
        {{ row_key('source', 'touchpoint_id') }} as touchpoint_key,
        cast(sum(spend) as double) as cost
    from spend_rows
    where touchpoint_id is not null
    group by source, touchpoint_id

),

journeys as (

    select
        journey_touchpoints.conversion_key,
        min(journey_touchpoints.touched_at) as first_touched_at,
        max(journey_touchpoints.touched_at) as last_touched_at,
        max(case when journey_touchpoints.touch_number = 1 then journey_touchpoints.channel_key end)
            as first_channel_key,
        max(
            case
                when journey_touchpoints.touch_number = journey_touchpoints.journey_length
                    then journey_touchpoints.channel_key
            end
        ) as last_channel_key,
        count(*) as touchpoint_count,
        count(distinct journey_touchpoints.channel_key) as distinct_channels,
        sum(coalesce(named_spend.cost, 0) + coalesce(channel_day_costs.cost, 0)) as cost
    from journey_touchpoints
    inner join journey_windows
        on journey_touchpoints.conversion_key = journey_windows.conversion_key
    left join named_spend
        on journey_touchpoints.touchpoint_key = named_spend.touchpoint_key
    left join channel_day_costs
        on
            journey_windows.source = channel_day_costs.source
            and journey_touchpoints.channel = channel_day_costs.channel
            and cast(journey_touchpoints.touched_at as date) = channel_day_costs.touch_date
    group by journey_touchpoints.conversion_key

),

reached as (

    select
        person_key,
        conversion_type,
        min(converted_at) as first_converted_at
    from conversions
    group by person_key, conversion_type

),

staged as (

    select
        journey_windows.conversion_key,
        {{ ordered_list(
            'reached.conversion_type', 'reached.first_converted_at, reached.conversion_type'
        ) }} as stages
    from journey_windows
    inner join reached
        on
            journey_windows.person_key = reached.person_key
            and journey_windows.converted_at >= reached.first_converted_at
    group by journey_windows.conversion_key

),

final as (

    select
        journey_windows.conversion_id,
        journey_windows.source,
        journey_windows.person_id,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        first_channels.channel as first_channel,
        last_channels.channel as last_channel,
        staged.stages,
        coalesce(journeys.touchpoint_count, 0) as touchpoint_count,
        coalesce(journeys.distinct_channels, 0) as distinct_channels,
        cast(
            {{ days_between('journeys.first_touched_at', 'journey_windows.converted_at') }}
            as double
        ) as days_to_conversion,
        coalesce(journeys.cost, 0) as cost,
        journey_windows.revenue,
        journeys.first_touched_at,
        journeys.last_touched_at,
        journey_windows.converted_at
    from journey_windows
    inner join staged
        on journey_windows.conversion_key = staged.conversion_key
    left join journeys
        on journey_windows.conversion_key = journeys.conversion_key
    left join channels as first_channels
        on journeys.first_channel_key = first_channels.channel_key
    left join channels as last_channels
        on journeys.last_channel_key = last_channels.channel_key

)

select * from final

-- grain: one row per conversion that the survival model is fitted to and touchpoint of its journey.
-- Of many conversions of one type a sample is kept, and weight says how many each stands for.
-- Nothing is additive.
-- A touch is learnt from where its whole time is within the reporting period: what an earlier one
-- brought about before the period is not known.
with journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_computed('survival') }}

),

touched as (

    select
        journey_windows.source,
        journey_windows.conversion_id,
        journey_touchpoints.touchpoint_key,
        journey_windows.person_id,
        journey_windows.conversion_key,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        {{ days_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
            as delay_days
    from journey_touchpoints
    inner join journey_windows
        on journey_touchpoints.conversion_key = journey_windows.conversion_key
    where {{ in_reporting_period('journey_touchpoints.touched_at') }}

),

converted as (

    select distinct
        source,
        conversion_id,
        conversion_key,
        conversion_type
    from touched

),

numbered as (

    select
        conversion_key,
        row_number() over (
            partition by conversion_type
            order by md5(concat(source, '/', conversion_id)), source, conversion_id
        ) as conversion_number,
        count(*) over (partition by conversion_type) as conversions
    from converted

),

final as (

    select
        touched.source,
        touched.conversion_key,
        touched.touchpoint_key,
        touched.person_id,
        touched.conversion_type,
        numbered.conversion_number,
        touched.channel,
        touched.delay_days,
        cast(
            greatest(numbered.conversions / {{ survival_fitted_conversions() }}.0, 1) as double
        ) as weight
    from touched
    inner join numbered
        on touched.conversion_key = numbered.conversion_key
    where numbered.conversion_number <= {{ survival_fitted_conversions() }}

)

select * from final

-- grain: one row per conversion and touchpoint. survival adds up to 1 per conversion.
with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}
    where {{ is_computed('survival') }}

),

coefficients as (

    select * from {{ ref('int_survival_coefficients') }}

),

hazards as (

    -- Null where the channel brings about nothing, or was not learnt from.
    select
        journey_touchpoints.conversion_key,
        journey_touchpoints.touchpoint_key,
        journey_touchpoints.channel_key,
        cast(journey_touchpoints.touched_at as date) as touch_date,
        journey_touchpoints.journey_length,
        ln(nullif(coefficients.beta, 0)) + ln(coefficients.omega) - coefficients.omega
        * {{ days_between('journey_touchpoints.touched_at', 'journey_touchpoints.converted_at') }}
            as log_hazard
    from journey_touchpoints
    left join coefficients
        on
            journey_touchpoints.conversion_type = coefficients.conversion_type
            and journey_touchpoints.channel = coefficients.channel

),

weighted as (

    -- Relative to the journey's highest: the hazards of an old journey may all round to 0. What is
    -- less than a billionth of the highest is nothing, so that no ratio to it can overflow.
    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        journey_length,
        case
            when log_hazard - max(log_hazard) over (partition by conversion_key) > ln(1e-9)
                then exp(log_hazard - max(log_hazard) over (partition by conversion_key))
            else 0
        end as hazard
    from hazards

),

final as (

    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        {{ share_of_journey('hazard') }} as survival
    from weighted

)

select * from final

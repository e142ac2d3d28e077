-- grain: one row per conversion and session; ihc adds up to 1 per conversion.
with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}
    where attribution_model = 'ihc'

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

final as (

    select
        journey_touchpoints.conversion_id as conv_id,
        journey_touchpoints.touchpoint_id as session_id,
        touchpoint_credits.credit as ihc
    from touchpoint_credits
    inner join journey_touchpoints
        on
            touchpoint_credits.conversion_key = journey_touchpoints.conversion_key
            and touchpoint_credits.touchpoint_key = journey_touchpoints.touchpoint_key

)

select * from final

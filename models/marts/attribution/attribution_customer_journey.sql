-- grain: one row per conversion and session; ihc adds up to 1 per conversion.
with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}
    where attribution_model = 'ihc'

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

touchpoints as (

    select * from {{ ref('int_touchpoints_unioned') }}

),

final as (

    select
        journey_windows.conversion_id as conv_id,
        touchpoints.touchpoint_id as session_id,
        touchpoint_credits.credit as ihc
    from touchpoint_credits
    inner join journey_windows
        on touchpoint_credits.conversion_key = journey_windows.conversion_key
    inner join touchpoints
        on touchpoint_credits.touchpoint_key = touchpoints.touchpoint_key

)

select * from final

-- grain: one row per conversion and session; ihc adds up to 1 per conversion.
with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}
    where attribution_model = 'ihc'

),

final as (

    select
        conversion_id as conv_id,
        touchpoint_id as session_id,
        credit as ihc
    from touchpoint_credits

)

select * from final

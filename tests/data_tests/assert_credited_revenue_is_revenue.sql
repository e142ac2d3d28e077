-- Per conversion and model there is one credit for each touchpoint, and credited revenue adds up to
-- the conversion's revenue, to the cent.
with touchpoint_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

credited as (

    select
        source,
        conversion_id,
        attribution_model,
        sum(credited_revenue) as credited_revenue,
        count(case when touchpoint_id != '(baseline)' then 1 end) as credit_count
    from touchpoint_credits
    group by source, conversion_id, attribution_model

)

select
    credited.*,
    conversions.revenue,
    conversions.touchpoint_count
from credited
left join conversions
    on
        credited.source = conversions.source
        and credited.conversion_id = conversions.conversion_id
where
    (
        {{ is_same_money('credited.credited_revenue', 'conversions.revenue') }}
        and credited.credit_count = conversions.touchpoint_count
    ) is not true

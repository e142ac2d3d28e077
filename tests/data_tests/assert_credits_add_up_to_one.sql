-- Every attributed conversion has, under every enabled model, one credit in [0, 1] for each of its
-- touchpoints; they add up to 1, and what they are worth to its revenue, to the cent. No other
-- conversion and no other model has credits.
with conversions as (

    select * from {{ ref('fct_conversions') }}
    where is_attributed

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

touchpoint_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}

),

expected as (

    select
        conversions.source,
        conversions.conversion_id,
        enabled_models.attribution_model,
        conversions.touchpoint_count,
        conversions.revenue
    from conversions
    cross join enabled_models

),

credited as (

    select
        source,
        conversion_id,
        attribution_model,
        sum(credit) as credit,
        sum(credited_revenue) as credited_revenue,
        count(case
            when touchpoint_id != '(baseline)' and credit between -1e-9 and 1 + 1e-9 then 1
        end) as credit_count
    from touchpoint_credits
    group by source, conversion_id, attribution_model

)

select
    expected.touchpoint_count,
    expected.revenue,
    credited.credit_count,
    credited.credit,
    credited.credited_revenue,
    coalesce(expected.source, credited.source) as source,
    coalesce(expected.conversion_id, credited.conversion_id) as conversion_id,
    coalesce(expected.attribution_model, credited.attribution_model) as attribution_model
from expected
full outer join credited
    on
        expected.source = credited.source
        and expected.conversion_id = credited.conversion_id
        and expected.attribution_model = credited.attribution_model
where
    (
        abs(credited.credit - 1) < 1e-9
        and {{ is_same_money('credited.credited_revenue', 'expected.revenue') }}
        and credited.credit_count = expected.touchpoint_count
    ) is not true

-- Every attributed conversion has, under every enabled model, one credit in [0, 1] for each of its
-- touchpoints, and they add up to 1.
with conversions as (

    select * from {{ ref('fct_conversions') }}
    where is_attributed

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}

),

credited as (

    select
        source,
        conversion_id,
        attribution_model,
        sum(credit) as credit,
        count(case
            when touchpoint_id != '(baseline)' and credit between -1e-9 and 1 + 1e-9 then 1
        end) as credit_count
    from touchpoint_credits
    group by source, conversion_id, attribution_model

)

select
    conversions.source,
    conversions.conversion_id,
    enabled_models.attribution_model,
    credited.credit,
    credited.credit_count
from conversions
cross join enabled_models
left join credited
    on
        conversions.source = credited.source
        and conversions.conversion_id = credited.conversion_id
        and enabled_models.attribution_model = credited.attribution_model
where
    (abs(credited.credit - 1) < 1e-9 and credited.credit_count = conversions.touchpoint_count)
    is not true

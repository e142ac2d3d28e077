-- Under every enabled model, the shares of the channels of a conversion type add up to 1 (to 0
-- where no conversion of the type is attributed).
with channel_attribution as (

    select * from {{ ref('rpt_channel_attribution') }}

),

model_comparison as (

    select * from {{ ref('rpt_model_comparison') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

expected as (

    select
        conversion_type,
        max(case when is_attributed then 1 else 0 end) as share
    from {{ ref('fct_conversions') }}
    group by conversion_type

),

shares as (

    select
        attribution_model,
        conversion_type,
        sum(share) as share
    from channel_attribution
    group by attribution_model, conversion_type
    {% for model in attribution_models() %}
    union all
    select
        'rpt_model_comparison.{{ model }}' as attribution_model,
        model_comparison.conversion_type,
        sum(model_comparison.{{ model }}) as share
    from model_comparison
    inner join enabled_models
        on enabled_models.attribution_model = '{{ model }}'
    group by model_comparison.conversion_type
    {% endfor %}

)

select
    shares.*,
    expected.share as expected_share
from shares
left join expected
    on shares.conversion_type = expected.conversion_type
where (abs(shares.share - expected.share) < 1e-9) is not true

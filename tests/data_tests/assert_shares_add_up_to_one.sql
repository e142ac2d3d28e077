-- Under every enabled model, the shares of the channels of a conversion type add up to 1 (to 0
-- where no conversion of the type is attributed). rpt_model_comparison has columns for the shipped
-- models.
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

attributed as (

    select
        conversion_type,
        max(case when is_attributed then 1 else 0 end) as share
    from {{ ref('fct_conversions') }}
    group by conversion_type

),

shares as (

    select
        'rpt_channel_attribution' as mart,
        attribution_model,
        conversion_type,
        sum(share) as share
    from channel_attribution
    group by attribution_model, conversion_type
    {% for model in shipped_models() %}
    union all
    select
        'rpt_model_comparison' as mart,
        '{{ model }}' as attribution_model,
        conversion_type,
        sum({{ model }}) as share
    from model_comparison
    group by conversion_type
    {% endfor %}

),

marts as (

    select 'rpt_channel_attribution' as mart
    union all
    select 'rpt_model_comparison' as mart

),

expected as (

    select
        marts.mart,
        enabled_models.attribution_model,
        attributed.conversion_type,
        attributed.share
    from marts
    cross join enabled_models
    cross join attributed
    where
        marts.mart = 'rpt_channel_attribution'
        or enabled_models.attribution_model in ({{ quoted_list(shipped_models()) }})

)

select
    expected.*,
    shares.share as reported_share
from expected
left join shares
    on
        expected.mart = shares.mart
        and expected.attribution_model = shares.attribution_model
        and expected.conversion_type = shares.conversion_type
where (abs(shares.share - expected.share) < 1e-9) is not true

-- Per model and conversion type, what channels are credited with and what is unattributed add up to
-- all conversions and, to the cent, to all revenue.
with conversions as (

    select * from {{ ref('fct_conversions') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

expected as (

    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        count(*) as conversions,
        sum(conversions.revenue) as revenue,
        count(case when conversions.is_attributed then 1 end) as attributed_conversions,
        coalesce(sum(case when conversions.is_attributed then conversions.revenue end), 0)
            as attributed_revenue
    from conversions
    cross join enabled_models
    group by enabled_models.attribution_model, conversions.conversion_type

),

split as (

    {% for mart in ['rpt_channel_attribution', 'rpt_channel_performance'] %}
    select
        '{{ mart }}' as mart,
        attribution_model,
        conversion_type,
        sum(conversions) as conversions,
        sum(revenue) as revenue,
        sum(case when channel = '(unattributed)' then 0 else conversions end)
            as attributed_conversions,
        sum(case when channel = '(unattributed)' then 0 else revenue end) as attributed_revenue
    from {{ ref(mart) }}
    group by attribution_model, conversion_type
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

marts as (

    select 'rpt_channel_attribution' as mart
    union all
    select 'rpt_channel_performance' as mart

)

select
    expected.*,
    marts.mart,
    split.conversions as split_conversions,
    split.revenue as split_revenue
from expected
cross join marts
left join split
    on
        marts.mart = split.mart
        and expected.attribution_model = split.attribution_model
        and expected.conversion_type = split.conversion_type
where
    (
        abs(split.conversions - expected.conversions) < 1e-6
        and abs(split.attributed_conversions - expected.attributed_conversions) < 1e-6
        and {{ is_same_money('split.revenue', 'expected.revenue') }}
        and {{ is_same_money('split.attributed_revenue', 'expected.attributed_revenue') }}
    ) is not true

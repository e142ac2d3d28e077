-- grain: one row per paid channel and conversion type: what the interval of its ROAS says to do
-- with its spend, under the model of the setting recommendation_model. Nothing is additive over
-- conversion types.
{%- set target = target_roas() %}
{#- The rules: the first that holds decides. -#}
{%- set rules = [
    ('none', 'no spend', 'spend <= 0'),
    ('none', 'no revenue', 'revenue_of_type <= 0'),
    ('none', 'spend, but in no journey', 'touches = 0 and conversions = 0'),
    ('none', 'no interval', 'roas_low is null'),
    ('none', 'looks confounded', 'confounding is not null'),
    ('cut', 'even the upper bound is below the target', 'roas_high < ' ~ target),
    (
        'none', 'interval too wide',
        '(interval_ratio <= ' ~ widest_interval_ratio() ~ ') is not true'
    ),
    (
        'raise', 'even the lower bound is above the target, by the margin',
        'roas_low >= ' ~ target ~ ' * ' ~ raise_margin()
    ),
    ('hold', 'above the target, but not by the margin', 'roas_low >= ' ~ target),
    (
        'nurture', 'the interval spans the target, and others close what the channel opens',
        'first_touches > 0 and first_touches >= ' ~ nurture_ratio() ~ ' * last_touches'
    ),
    ('hold', 'the interval spans the target', 'true')
] %}

with channel_roi as (

    select * from {{ ref('rpt_channel_roi') }}
    where attribution_model = '{{ recommendation_model() }}' and is_paid

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

calibrated_totals as (

    select * from {{ ref('int_hazard_calibrated_totals') }}

),

conversion_types as (

    select
        conversion_type,
        sum(revenue) as revenue
    from conversions
    group by conversion_type

),

edges as (

    select
        conversion_type,
        channel,
        count(*) as touches,
        count(case when touch_number = 1 then 1 end) as first_touches,
        count(case when touch_number = journey_length then 1 end) as last_touches
    from journey_touchpoints
    group by conversion_type, channel

),

confounded as (

    select
        conversion_type,
        channel,
        max(test_reason) as confounding
    from calibrated_totals
    where test_reason is not null
    group by conversion_type, channel

),

gathered as (

    -- Every journey has one first and one last touch, so the counts compare as shares do.
    select
        channel_roi.*,
        confounded.confounding,
        coalesce(edges.touches, 0) as touches,
        coalesce(edges.first_touches, 0) as first_touches,
        coalesce(edges.last_touches, 0) as last_touches,
        coalesce(conversion_types.revenue, 0) as revenue_of_type,
        channel_roi.roas_high / nullif(channel_roi.roas_low, 0) as interval_ratio
    from channel_roi
    left join conversion_types
        on channel_roi.conversion_type = conversion_types.conversion_type
    left join edges
        on
            channel_roi.conversion_type = edges.conversion_type
            and channel_roi.channel = edges.channel
    left join confounded
        on
            channel_roi.conversion_type = confounded.conversion_type
            and channel_roi.channel = confounded.channel

),

decided as (

    select
        *,
        case
            {%- for _, _, condition in rules %}
            when {{ condition }} then {{ loop.index }}
            {%- endfor %}
        end as rule
    from gathered

),

final as (

    select
        channel,
        conversion_type,
        attribution_model,
        case rule
            {%- for recommendation, _, _ in rules %}
            when {{ loop.index }} then '{{ recommendation }}'
            {%- endfor %}
        end as recommendation,
        case rule
            {%- for _, reason, _ in rules %}
            when {{ loop.index }} then '{{ reason }}'
            {%- endfor %}
        end as reason,
        confounding,
        spend,
        conversions,
        conversions_low,
        conversions_high,
        revenue,
        roas,
        roas_low,
        roas_high,
        cast({{ target }} as double) as target_roas,
        interval_ratio,
        first_touches,
        last_touches
    from decided

)

select * from final

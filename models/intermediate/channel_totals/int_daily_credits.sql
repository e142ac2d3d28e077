-- grain: one row per date of the touchpoint (of the conversion for the (baseline)), enabled
-- attribution model, conversion type, revenue center and channel credited, (baseline) among them.
-- conversions and revenue are additive within one model.
{%- set tables = dict(credit_tables(), int_ensemble_credits=['ensemble']) %}
{%- set cell = 'date, conversion_type, revenue_center, channel' %}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

ensemble_credits as (

    select * from {{ ref('int_ensemble_credits') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

touches as (

    select
        journey_touchpoints.conversion_key,
        journey_touchpoints.touchpoint_key,
        journey_touchpoints.conversion_type,
        journey_touchpoints.channel,
        cast(journey_windows.revenue as double) as revenue,
        cast(journey_touchpoints.touched_at as date) as date,
        coalesce(journey_windows.revenue_center, '(none)') as revenue_center
    from journey_touchpoints
    inner join journey_windows
        on journey_touchpoints.conversion_key = journey_windows.conversion_key

),

-- A table's models are added up side by side, and only then become rows.
{% for table, models in tables.items() %}
{{ table }}_added_up as (

    select
        {{ cell }},
        {%- for model in models %}
        {{ exact_sum_of_parts('credits.' ~ model) }} as {{ model }}_conversions,
        sum(credits.{{ model }} * touches.revenue) as {{ model }}_revenue
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref(table) }} as credits
    inner join touches
        on
            credits.conversion_key = touches.conversion_key
            and credits.touchpoint_key = touches.touchpoint_key
    group by {{ cell }}

),

{% endfor %}
baseline_credits as (

    select
        conversion_key,
        attribution_model,
        credit
    from {{ ref('int_baseline_credits') }}
    union all
    select
        conversion_key,
        'ensemble' as attribution_model,
        ensemble as credit
    from ensemble_credits
    where touchpoint_key = {{ baseline_key() }}

),

added_up as (

    {% for table, models in tables.items() %}
    {% for model in models %}
    select
        {{ cell }},
        '{{ model }}' as attribution_model,
        {{ model }}_conversions as conversions,
        {{ model }}_revenue as revenue
    from {{ table }}_added_up
    union all
    {% endfor %}
    {% endfor %}
    select
        cast(journey_windows.converted_at as date) as date,
        journey_windows.conversion_type,
        coalesce(journey_windows.revenue_center, '(none)') as revenue_center,
        '(baseline)' as channel,
        baseline_credits.attribution_model,
        {{ exact_sum_of_parts('baseline_credits.credit') }} as conversions,
        sum(baseline_credits.credit * cast(journey_windows.revenue as double)) as revenue
    from baseline_credits
    inner join journey_windows
        on baseline_credits.conversion_key = journey_windows.conversion_key
    group by
        cast(journey_windows.converted_at as date),
        journey_windows.conversion_type,
        coalesce(journey_windows.revenue_center, '(none)'),
        baseline_credits.attribution_model

),

final as (

    select
        added_up.date,
        added_up.attribution_model,
        added_up.conversion_type,
        added_up.revenue_center,
        added_up.channel,
        added_up.conversions,
        added_up.revenue
    from added_up
    inner join enabled_models
        on added_up.attribution_model = enabled_models.attribution_model

)

select * from final

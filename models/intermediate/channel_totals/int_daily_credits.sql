-- grain: one row per date of the touchpoint (of the conversion for the (baseline)), enabled
-- attribution model, conversion type, revenue center and channel credited, (baseline) among them.
-- conversions and revenue are additive within one model.
{%- set tables = credit_tables() %}
{%- set cell = 'date, conversion_type, revenue_center, channel_key' %}

with journey_windows as (

    select
        conversion_key,
        conversion_type,
        converted_at,
        cast(revenue as double) as revenue,
        coalesce(revenue_center, '(none)') as revenue_center
    from {{ ref('int_journey_windows') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

baseline_credits as (

    select * from {{ ref('int_baseline_credits') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

-- A table's models are added up side by side, and only then become rows.
{% for table, models in tables.items() %}
{{ table }}_added_up as (

    select
        credits.touch_date as date,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        {%- for model in models %}
        {{ exact_sum_of_parts('credits.' ~ model) }} as {{ model }}_conversions,
        sum(credits.{{ model }} * journey_windows.revenue) as {{ model }}_revenue,
        {%- endfor %}
        credits.channel_key
    from {{ ref(table) }} as credits
    inner join journey_windows
        on credits.conversion_key = journey_windows.conversion_key
    group by
        credits.touch_date,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        credits.channel_key

),

{% endfor %}
touchpoints_added_up as (

    {% for table, models in tables.items() %}
    {% set is_last = loop.last %}
    {% for model in models %}
    select
        {{ cell }},
        '{{ model }}' as attribution_model,
        {{ model }}_conversions as conversions,
        {{ model }}_revenue as revenue
    from {{ table }}_added_up
    {% if not (loop.last and is_last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}

),

members_added_up as (

    select
        touchpoints_added_up.date,
        touchpoints_added_up.conversion_type,
        touchpoints_added_up.revenue_center,
        channels.channel,
        touchpoints_added_up.attribution_model,
        touchpoints_added_up.conversions,
        touchpoints_added_up.revenue
    from touchpoints_added_up
    inner join channels
        on touchpoints_added_up.channel_key = channels.channel_key
    union all
    select
        cast(journey_windows.converted_at as date) as date,
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        '(baseline)' as channel,
        baseline_credits.attribution_model,
        {{ exact_sum_of_parts('baseline_credits.credit') }} as conversions,
        sum(baseline_credits.credit * journey_windows.revenue) as revenue
    from baseline_credits
    inner join journey_windows
        on baseline_credits.conversion_key = journey_windows.conversion_key
    group by
        cast(journey_windows.converted_at as date),
        journey_windows.conversion_type,
        journey_windows.revenue_center,
        baseline_credits.attribution_model

),

members as (

    {{ ensemble_members() }}

),

added_up as (

    -- The ensemble is a weighted mean of each credit, and so of their sums.
    select * from members_added_up
    union all
    select
        members_added_up.date,
        members_added_up.conversion_type,
        members_added_up.revenue_center,
        members_added_up.channel,
        'ensemble' as attribution_model,
        {{ exact_sum('members.weight * members_added_up.conversions') }} as conversions,
        {{ exact_sum('members.weight * members_added_up.revenue') }} as revenue
    from members_added_up
    inner join members
        on members_added_up.attribution_model = members.attribution_model
    group by
        members_added_up.date,
        members_added_up.conversion_type,
        members_added_up.revenue_center,
        members_added_up.channel

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

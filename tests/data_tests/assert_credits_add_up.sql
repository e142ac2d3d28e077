-- Every attributed conversion has, under every enabled model, one credit in [0, 1] for each of its
-- touchpoints; they add up to 1, and what they are worth to its revenue, to the cent. No other
-- conversion has credits. Each table is read once and wide: as many touchpoints as the journey has,
-- whose keys, channels and days have hashes that add up to the same, are those of the journey.
{%- set tables = dict(credit_tables(), int_ensemble_credits=['ensemble']) %}
{%- set models_with_baseline = baseline_models() + ['ensemble'] %}
{%- set computed = computed_models() %}
{%- set touch = ['touchpoint_key', 'channel_key', 'touch_date'] %}

with conversions as (

    select * from {{ ref('fct_conversions') }}
    where is_attributed

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

ensemble_credits as (

    select * from {{ ref('int_ensemble_credits') }}

),

enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

journeys as (

    select
        conversion_key,
        sum(touchpoint_key) as touchpoint_keys,
        sum({{ row_hash([touch[0], touch[1], 'cast(touched_at as date)']) }}) as touch_hashes
    from journey_touchpoints
    group by conversion_key

),

expected as (

    select
        journey_windows.conversion_key,
        conversions.source,
        conversions.conversion_id,
        conversions.touchpoint_count,
        journeys.touchpoint_keys,
        journeys.touch_hashes,
        conversions.revenue,
        journey_windows.revenue as revenue_of_credits
    from conversions
    left join journey_windows
        on
            conversions.source = journey_windows.source
            and conversions.conversion_id = journey_windows.conversion_id
    left join journeys
        on journey_windows.conversion_key = journeys.conversion_key

),

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

baselines as (

    select
        conversion_key,
        {{ pivoted_by_model('credit', models_with_baseline) }}
    from baseline_credits
    group by conversion_key

),

{% for table, models in tables.items() %}
{% set models = models | select('in', computed) | list %}
{{ table }}_added_up as (

    select
        conversion_key,
        {%- for model in models %}
        sum({{ model }}) as {{ model }},
        count(case when {{ model }} between -1e-9 and 1 + 1e-9 then 1 end) as {{ model }}_count,
        {%- endfor %}
        {%- if table == 'int_ensemble_credits' %}
        sum(touchpoint_key) as touchpoint_keys
        {%- else %}
        sum({{ row_hash(touch) }}) as touch_hashes
        {%- endif %}
    from {{ ref(table) }}
    where touchpoint_key is distinct from {{ baseline_key() }}
    group by conversion_key

),

{{ table }}_compared as (

    select
        expected.source,
        expected.conversion_id,
        expected.touchpoint_count,
        expected.revenue,
        expected.revenue_of_credits,
        {%- for model in models %}
        {%- if model in models_with_baseline %}
        credited.{{ model }} + coalesce(baselines.{{ model }}, 0) as {{ model }},
        {%- else %}
        credited.{{ model }},
        {%- endif %}
        credited.{{ model }}_count,
        {%- endfor %}
        coalesce(expected.conversion_key, credited.conversion_key) as conversion_key,
        {%- if table == 'int_ensemble_credits' %}
        expected.touchpoint_keys = credited.touchpoint_keys as is_of_the_journey
        {%- else %}
        expected.touch_hashes = credited.touch_hashes as is_of_the_journey
        {%- endif %}
    from expected
    full outer join {{ table }}_added_up as credited
        on expected.conversion_key = credited.conversion_key
    {%- if models | select('in', models_with_baseline) | list %}
    left join baselines
        on credited.conversion_key = baselines.conversion_key
    {%- endif %}

),

{% endfor %}
compared as (

    {% for table, models in tables.items() %}
    {% for model in models if model in computed %}
    select
        source,
        conversion_id,
        conversion_key,
        '{{ model }}' as attribution_model,
        is_of_the_journey,
        touchpoint_count,
        {{ model }}_count as credit_count,
        {{ model }} as credit,
        revenue,
        {{ model }} * cast(revenue_of_credits as double) as credited_revenue
    from {{ table }}_compared
    union all
    {% endfor %}
    {% endfor %}
    -- A baseline of a conversion that has nothing to credit.
    select
        null as source,
        null as conversion_id,
        baseline_credits.conversion_key,
        baseline_credits.attribution_model,
        false as is_of_the_journey,
        0 as touchpoint_count,
        0 as credit_count,
        baseline_credits.credit,
        null as revenue,
        null as credited_revenue
    from baseline_credits
    left join expected
        on baseline_credits.conversion_key = expected.conversion_key
    where expected.conversion_key is null

)

select compared.*
from compared
inner join enabled_models
    on compared.attribution_model = enabled_models.attribution_model
where
    (
        compared.is_of_the_journey
        and compared.credit_count = compared.touchpoint_count
        and abs(compared.credit - 1) < 1e-9
        and {{ is_same_money('compared.credited_revenue', 'compared.revenue') }}
    ) is not true

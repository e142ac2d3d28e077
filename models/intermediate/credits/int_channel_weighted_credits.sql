-- grain: one row per conversion and touchpoint; one credit column per model that weighs channels.
-- Each column adds up to 1 per conversion, together with the baseline of models that have one; it
-- is empty where the model is not computed. Do not sum across columns.
{%- set models = raked_models() %}
{%- set computed = computed_models() %}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

path_credit_weights as (

    select * from {{ ref('int_path_credit_weights') }}

),

channel_weights as (

    select
        conversion_type,
        channel,
        {{ pivoted_by_model('weight', models) }}
    from path_credit_weights
    group by conversion_type, channel

),

counted as (

    select
        conversion_key,
        touchpoint_key,
        conversion_type,
        channel,
        channel_key,
        cast(touched_at as date) as touch_date,
        journey_length,
        count(*) over (partition by conversion_key, channel_key) as touches_of_channel
    from journey_touchpoints

),

weighted as (

    -- A channel's weight is shared equally by its touches; under shapley it is the same for every
    -- distinct channel. The baseline takes part in every journey.
    select
        counted.conversion_key,
        counted.touchpoint_key,
        counted.channel_key,
        counted.touch_date,
        counted.journey_length,
        {%- for model in models %}
        channel_weights.{{ model }} / counted.touches_of_channel as {{ model }}_weight,
        coalesce(baseline_weights.{{ model }}, 0) as {{ model }}_baseline_weight,
        {%- endfor %}
        cast(1.0 as double) / counted.touches_of_channel as shapley_weight
    from counted
    left join channel_weights
        on
            counted.conversion_type = channel_weights.conversion_type
            and counted.channel = channel_weights.channel
    left join channel_weights as baseline_weights
        on
            counted.conversion_type = baseline_weights.conversion_type
            and baseline_weights.channel = '(baseline)'

),

shared as (

    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        {%- for model in models %}
        {{ share_of_journey(model ~ '_weight', model ~ '_baseline_weight')
            if model in computed else 'cast(null as double)' }} as {{ model }},
        {%- endfor %}
        {{ share_of_journey('shapley_weight') }} as shapley
    from weighted

),

final as (

    -- A weight of nothing is a small number, so that channels that are due nothing share a journey
    -- of their own. What it leaves beside others is nothing: an order of it would cost any sum.
    -- A baseline has what is cut off; without one, only what no sum shows may be cut off.
    select
        conversion_key,
        touchpoint_key,
        channel_key,
        touch_date,
        {%- for model in models %}
        {%- if model in baseline_models() %}
        {{ or_nothing(model) }} as {{ model }},
        {%- else %}
        case when {{ model }} < 1e-12 then 0.0 else {{ model }} end as {{ model }},
        {%- endif %}
        {%- endfor %}
        shapley
    from shared

)

select * from final

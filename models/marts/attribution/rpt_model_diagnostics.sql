-- grain: one row per attribution model, conversion type and diagnostic; what all models share is
-- under (every model). Nothing is additive.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

paths as (

    select * from {{ ref('int_paths') }}

),

markov_orders as (

    select * from {{ ref('int_markov_orders') }}

),

path_credit_weights as (

    select * from {{ ref('int_path_credit_weights') }}

),

ihc_credits as (

    select * from {{ ref('int_ihc_credits') }}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

conversion_types as (

    select distinct conversion_type
    from journey_windows

),

hazard_diagnostics as (

    select * from {{ ref('int_hazard_diagnostics') }}

),

survival_coefficients as (

    select * from {{ ref('int_survival_coefficients') }}

),

hazard_calibrated_totals as (

    select * from {{ ref('int_hazard_calibrated_totals') }}

),

data_driven_diagnostics as (

    select * from {{ ref('int_data_driven_diagnostics') }}

),

training as (

    select
        conversion_type,
        min(path_end_date) as first_date,
        max(path_end_date) as last_date,
        count(case when is_converted then 1 end) as conversions,
        count(case when not is_converted then 1 end) as open_journeys
    from paths
    group by conversion_type

),

settings as (

    -- Sources may come from the environment; a folder is a name that case may matter to.
    select
        'setting sources' as diagnostic,
        '{{ enabled_sources() | join(", ") }}' as detail
    union all
    select
        'setting ihc_results_path' as diagnostic,
        '{{ (ihc_results_path() or "none") | string | replace("'", "''") }}' as detail
    {%- for setting in [
        'journey_scope', 'lookback_days', 'include_touch_at_conversion', 'include_open_journeys',
        'time_decay_half_life_days', 'markov_order', 'markov_max_order', 'start_date', 'end_date',
        'path_summary_rows'
    ] %}
    union all
    select
        'setting {{ setting }}' as diagnostic,
        '{{ var(setting) | string | lower | replace("'", "''") }}' as detail
    {%- endfor %}

),

diagnosed as (

    select
        '(every model)' as attribution_model,
        conversion_type,
        'training conversions' as diagnostic,
        cast(conversions as double) as value,
        'from ' || first_date || ' to ' || last_date as detail
    from training
    union all
    select
        '(every model)' as attribution_model,
        conversion_type,
        'training open journeys' as diagnostic,
        cast(open_journeys as double) as value,
        'from ' || first_date || ' to ' || last_date as detail
    from training
    union all
    select
        '(every model)' as attribution_model,
        conversion_types.conversion_type,
        settings.diagnostic,
        null as value,
        settings.detail
    from settings
    cross join conversion_types
    union all
    select
        'markov' as attribution_model,
        conversion_type,
        'held-out log likelihood per step, order ' || markov_order as diagnostic,
        held_out_log_likelihood_per_step as value,
        states || ' states' as detail
    from markov_orders
    union all
    select
        'markov' as attribution_model,
        conversion_type,
        'order' as diagnostic,
        markov_order as value,
        'removal effects by ' || method as detail
    from markov_orders
    where is_used
    union all
    select
        'markov' as attribution_model,
        conversion_type,
        'iterations' as diagnostic,
        iterations as value,
        method as detail
    from markov_orders
    where is_used
    union all
    select
        'markov' as attribution_model,
        conversion_type,
        'conversion probability' as diagnostic,
        conversion_probability as value,
        'of a path' as detail
    from markov_orders
    where is_used
    union all
    select
        attribution_model,
        conversion_type,
        'path credits: conversions that miss their channel' as diagnostic,
        sum(abs(credited_conversions - target_conversions)) / 2 as value,
        count(case when is_met then 1 end) || ' of ' || count(*) || ' channel totals are met'
            as detail
    from path_credit_weights
    group by attribution_model, conversion_type
    union all
    select
        attribution_model,
        conversion_type,
        'path credits: iterations' as diagnostic,
        max(iterations) as value,
        'Newton steps' as detail
    from path_credit_weights
    group by attribution_model, conversion_type
    union all
    select
        'ihc' as attribution_model,
        journey_windows.conversion_type,
        'conversions answered by the external service' as diagnostic,
        count(distinct case when ihc_credits.is_from_service then ihc_credits.conversion_key end)
            as value,
        'the others by the built-in model' as detail
    from journey_windows
    left join ihc_credits
        on journey_windows.conversion_key = ihc_credits.conversion_key
    group by journey_windows.conversion_type
    union all
    select
        'hazard' as attribution_model,
        conversion_type,
        diagnostic,
        diagnostic_value as value,
        case diagnostic
            when 'is_log_link'
                then case when diagnostic_value = 1 then 'log link' else 'additive link' end
            when 'repeat_factor'
                then
                    case
                        when diagnostic_value = 1 then 'touches count alike'
                        when diagnostic_value > 1 then 'touches bring about more'
                        else 'touches bring about less'
                    end || ' after a first conversion'
        end as detail
    from hazard_diagnostics
    union all
    select
        'survival' as attribution_model,
        conversion_type,
        'channels whose mean life is at its bound' as diagnostic,
        count(case when is_at_bound then 1 end) as value,
        case
            when count(case when is_at_bound and omega > 1 then 1 end) > 0
                then 'at the shortest: their conversions come at once'
        end as detail
    from survival_coefficients
    where beta > 0
    group by conversion_type
    union all
    select
        'hazard_calibrated' as attribution_model,
        conversion_type,
        'calibration of ' || channel as diagnostic,
        ratio as value,
        case
            when is_calibrated then 'calibrated by a lift test'
            when test_reason is not null
                then
                    concat(
                        'no lift test; test next: ', test_reason, ' std_error needed: ',
                        round(test_std_error_needed, 1)
                    )
            else 'no lift test'
        end as detail
    from hazard_calibrated_totals
    where channel != '(baseline)'
    union all
    select
        'data_driven' as attribution_model,
        conversion_type,
        diagnostic,
        diagnostic_value as value,
        null as detail
    from data_driven_diagnostics

),

final as (

    select
        diagnosed.attribution_model,
        diagnosed.conversion_type,
        diagnosed.diagnostic,
        diagnosed.value,
        diagnosed.detail
    from diagnosed
    left join enabled_models
        on diagnosed.attribution_model = enabled_models.attribution_model
    where
        enabled_models.attribution_model is not null
        or diagnosed.attribution_model = '(every model)'

)

select * from final

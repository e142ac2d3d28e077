{#-
  Which model computes the credits of which attribution models: one column per attribution model. The
  ensemble is made from these.
-#}
{% macro credit_tables() %}
    {{ return({
        'int_rule_based_credits': models_with_rules_of_their_own()
            + decay_weights().keys() | list + position_shares().keys() | list,
        'int_ihc_credits': ['ihc'],
        'int_hazard_credits': ['hazard', 'hazard_without_baseline'],
        'int_survival_credits': ['survival'],
        'int_channel_weighted_credits': raked_models() + ['shapley']
    }) }}
{% endmacro %}

{#- Rule-based models that are no rows of weights or shares. -#}
{% macro models_with_rules_of_their_own() %}
    {{ return([
        'first_touch', 'last_touch', 'last_non_direct_touch', 'last_paid_touch', 'linear',
        'daily_share', 'time_decay'
    ]) }}
{% endmacro %}

{#-
  Models with channel totals of their own, and where those are; every other model's totals are the
  sums of its credits.
-#}
{% macro channel_total_tables() %}
    {{ return({
        'markov': 'int_markov_channel_totals',
        'markov_shapley': 'int_markov_shapley_channel_totals',
        'hazard': 'int_hazard_channel_totals',
        'hazard_calibrated': 'int_hazard_calibrated_totals',
        'data_driven': 'int_data_driven_channel_totals'
    }) }}
{% endmacro %}

{#- Models that give totals to channels alone; their credits are raked to those. -#}
{% macro raked_models() %}
    {{ return(['markov', 'markov_shapley', 'hazard_calibrated', 'data_driven']) }}
{% endmacro %}

{#- Models that credit the (baseline) with what would have happened without any touch. -#}
{% macro baseline_models() %}
    {{ return(['hazard', 'hazard_calibrated', 'data_driven']) }}
{% endmacro %}

{#-
  The touchpoint_key of a conversion's (baseline), beside those of its touchpoints. No touchpoint has
  it: keys of rows are hashes of 63 bits and not negative.
-#}
{% macro baseline_key() -%}
    cast(-1 as bigint)
{%- endmacro %}

{#- Models that rpt_model_comparison has a column for; others are in its last columns. -#}
{% macro shipped_models() %}
    {{ return([
        'first_touch', 'last_touch', 'last_non_direct_touch', 'last_paid_touch', 'linear',
        'daily_share', 'time_decay', 'hyperbolic_decay', 'position_based', 'w_shaped', 'z_shaped',
        'ihc', 'markov', 'markov_shapley', 'shapley', 'hazard', 'hazard_without_baseline',
        'hazard_calibrated', 'survival', 'data_driven', 'ensemble'
    ]) }}
{% endmacro %}

{% macro attribution_models() %}
    {{ return(credit_tables().values() | sum(start=[]) + ['ensemble']) }}
{% endmacro %}

{#- The models that the ensemble is the mean of: the weight of each, and how many there are. -#}
{% macro ensemble_members() %}
    select
        attribution_model,
        ensemble_weight / sum(ensemble_weight) over () as weight,
        count(*) over () as member_count
    from {{ ref('attribution_models') }}
    where is_enabled and ensemble_weight > 0
{% endmacro %}

{#-
  Condition: is a model one that the ensemble is the mean of? Written out, so that tables of other models
  are not read; always true where the seed says nothing.
-#}
{% macro is_member_of_ensemble(model) %}
    {% set members = [] %}
    {% for row in seed_rows(
        'attribution_models', ['attribution_model', 'is_enabled', 'ensemble_weight']
    ) if row.is_enabled and row.ensemble_weight %}
        {% do members.append(row.attribution_model) %}
    {% endfor %}
    {{ return(model ~ ' in (' ~ quoted_list(members) ~ ')' if members else 'true') }}
{% endmacro %}

{#-
  What results of an attribution model are made from, beside its own fit. Recommendations ask the
  calibration which channels look confounded, whatever model they rest on.
-#}
{% macro needed_models() %}
    {{ return({
        'hazard_without_baseline': ['hazard'],
        'hazard_calibrated': ['hazard'],
        recommendation_model(): ['hazard_calibrated', 'hazard']
    }) }}
{% endmacro %}

{#-
  The attribution models that a build computes: those that the seed enables, and those that they
  need; all that Tributary ships where the seed says nothing.
-#}
{% macro computed_models() %}
    {% set rows = seed_rows('attribution_models', ['attribution_model', 'is_enabled']) %}
    {% set needed = needed_models() %}
    {% set computed = [] %}
    {% for row in rows if row.is_enabled %}
        {% do computed.extend([row.attribution_model] + needed.get(row.attribution_model, [])) %}
    {% endfor %}
    {{ return(computed if rows else shipped_models()) }}
{% endmacro %}

{#-
  Condition: is any of the named attribution models computed? DuckDB does not read a table, nor what
  is joined to it, where the condition on it is the word false.
-#}
{% macro is_computed() -%}
    {{ 'true' if varargs | select('in', computed_models()) | list else 'false' }}
{%- endmacro %}

{#- Names as a list of SQL texts, to stand between parentheses after `in`. -#}
{% macro quoted_list(names) -%}
    '{{ names | join("', '") }}'
{%- endmacro %}

{#- One column per given attribution model with the sum of a measure under that model. -#}
{% macro pivoted_by_model(measure, models=attribution_models()) -%}
    {%- for model in models -%}
        sum(case when attribution_model = '{{ model }}' then {{ measure }} end) as {{ model }}
        {%- if not loop.last %},
        {% endif -%}
    {%- endfor -%}
{%- endmacro %}

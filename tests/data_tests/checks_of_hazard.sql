-- What holds of the tables of models/intermediate/hazard: docs/decisions/0017.
{%- set left = [] %}
{%- for decay in hazard_decays() %}
{%- do left.append('left_' ~ decay.days ~ ' >= 0') %}
{%- endfor %}

{{ checks_of({
    'int_hazard_impulses': [
        {'primary_key': {
            'columns': [
                'source', 'impulse_date', 'conversion_type', 'channel', 'ordinal', 'decay_days'
            ]
        }},
        {'holds': {'expression': 'mass_at_midnight is not null and exposure is not null'}},
    ],
    'int_hazard_exposure': [
        {'primary_key': {'columns': ['conversion_type', 'channel', 'ordinal', 'decay_days']}},
        {'holds': {
            'expression': 'exposure >= repeat_exposure and repeat_exposure >= 0 and is_baseline is not null'
        }},
    ],
    'int_hazard_repeat_exposure': [
        {'primary_key': {'columns': ['conversion_type', 'channel', 'ordinal', 'decay_days']}},
        {'holds': {'expression': 'repeat_exposure >= 0'}},
    ],
    'int_hazard_events': [
        {'primary_key': {
            'columns': ['conversion_type', 'source', 'moment_id', 'channel', 'ordinal']
        }},
        {'holds': {
            'expression':
                "case when channel = '(baseline)' then weight >= 1 else "
                ~ left | join(' and ') ~ ' end'
        }},
    ],
    'int_hazard_points': [
        {'primary_key': {'columns': ['conversion_type', 'point_key']}},
    ],
    'int_hazard_point_touches': [
        {'primary_key': {'columns': ['point_key', 'channel', 'ordinal']}},
        {'holds': {
            'expression':
                "case when channel = '(baseline)' then weight > 0 else "
                ~ left | join(' and ') ~ ' end'
        }},
    ],
    'int_hazard_coefficients': [
        {'primary_key': {'columns': ['conversion_type', 'channel', 'ordinal', 'decay_days']}},
    ],
    'int_hazard_diagnostics': [
        {'primary_key': {'columns': ['conversion_type', 'diagnostic']}},
    ],
    'int_hazard_channel_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'hazard_and_baseline_credit_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'hazard'
        }},
        {'same_total': {
            'name': 'hazard_and_baseline_credit_all_revenue',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(revenue), 0)',
            'attribution_model': 'hazard'
        }},
    ],
    'int_hazard_follow_ratios': [
        {'primary_key': {'columns': ['channel']}},
        {'holds': {'expression': 'follow_ratio >= 0 and sampled_touches > 0'}},
    ],
    'int_hazard_touch_pairs': [
        {'primary_key': {'columns': ['channel', 'other_channel']}},
    ],
    'int_hazard_prompts': [
        {'primary_key': {'columns': ['channel', 'prompting_channel']}},
        {'holds': {'expression': 'prompted_share > 0 and prompted_share <= 1'}},
    ],
    'int_hazard_shared_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'sharing_prompted_touches_keeps_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_hazard_channel_totals'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'hazard_calibrated'
        }},
    ],
    'int_lift_tests': [
        {'primary_key': {
            'columns': ['conversion_type', 'channel', 'kind', 'start_date', 'end_date']
        }},
        {'holds': {
            'expression': '(predicted_lift > 0 or unused_reason is not null) and std_error > 0'
        }},
    ],
    'int_hazard_calibrated_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'calibrated_hazard_and_baseline_credit_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_hazard_channel_totals'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'hazard_calibrated'
        }},
        {'same_total': {
            'name': 'calibrated_hazard_and_baseline_credit_all_revenue',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': ref('int_hazard_channel_totals'),
            'to_expression': 'coalesce(sum(revenue), 0)',
            'attribution_model': 'hazard_calibrated'
        }},
    ],
}) }}

-- What holds of the tables of models/intermediate/channel_totals: docs/decisions/0017.

{{ checks_of({
    'int_markov_channel_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'markov_credits_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'markov'
        }},
        {'same_total': {
            'name': 'markov_credits_all_revenue',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(revenue), 0)',
            'attribution_model': 'markov'
        }},
        {'holds': {
            'name': 'markov_intervals_hold_their_estimate',
            'expression':
                'conversions_std_error is null or (conversions_std_error >= 0 and '
                ~ 'conversions between conversions_low - 1e-9 and conversions_high + 1e-9)'
        }},
    ],
    'int_markov_shapley_channel_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'markov_shapley_credits_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'markov_shapley'
        }},
        {'same_total': {
            'name': 'markov_shapley_credits_all_revenue',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(revenue), 0)',
            'attribution_model': 'markov_shapley'
        }},
        {'holds': {
            'name': 'markov_shapley_intervals_hold_their_estimate',
            'expression':
                'conversions_std_error is null or (conversions_std_error >= 0 and '
                ~ 'conversions between conversions_low - 1e-9 and conversions_high + 1e-9)'
        }},
    ],
    'int_markov_orders': [
        {'primary_key': {'columns': ['conversion_type', 'markov_order']}},
        {'same_total': {
            'name': 'one_markov_order_is_used_per_conversion_type',
            'expression': 'count(case when is_used then 1 end)',
            'to': ref('int_markov_orders'),
            'to_expression': 'count(distinct conversion_type)'
        }},
    ],
    'int_path_credit_weights': [
        {'primary_key': {'columns': ['attribution_model', 'conversion_type', 'channel']}},
        {'holds': {'expression': 'weight > 0'}},
        {'same_total': {
            'name': 'path_credits_add_up_to_the_channel_totals',
            'expression': 'coalesce(sum(credited_conversions), 0)',
            'to': ref('int_raking_targets'),
            'to_expression': 'coalesce(sum(conversions), 0)'
        }},
    ],
    'int_data_driven_channel_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'same_total': {
            'name': 'data_driven_credits_all_conversions',
            'expression': 'coalesce(sum(conversions), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(conversions), 0)',
            'attribution_model': 'data_driven'
        }},
        {'same_total': {
            'name': 'data_driven_credits_all_revenue',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': ref('int_channel_sets'),
            'to_expression': 'coalesce(sum(revenue), 0)',
            'attribution_model': 'data_driven'
        }},
    ],
    'int_data_driven_diagnostics': [
        {'primary_key': {'columns': ['conversion_type', 'diagnostic']}},
    ],
    'int_credit_errors': [
        {'primary_key': {'columns': ['attribution_model', 'conversion_type', 'channel']}},
        {'holds': {'expression': 'std_error >= 0 and reach >= std_error'}},
    ],
    'int_daily_credits': [
        {'primary_key': {
            'columns': [
                'date', 'attribution_model', 'conversion_type', 'revenue_center', 'channel'
            ]
        }},
        {'foreign_key': {'columns': ['channel'], 'to': ref('dim_channels')}},
    ],
    'int_model_totals': [
        {'primary_key': {'columns': ['attribution_model', 'conversion_type', 'channel']}},
    ],
    'int_ensemble_totals': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'holds': {
            'expression': 'agreement between 0 and 1 and interval_precision between 0 and 1'
        }},
    ],
}) }}

-- What holds of the tables of seeds: docs/decisions/0017.

{{ checks_of({
    'attribution_models': [
        {'primary_key': {'columns': ['attribution_model']}},
        {'holds': {
            'name': 'ensemble_weights_are_positive_and_not_of_the_ensemble_itself',
            'expression':
                'ensemble_weight is null or (ensemble_weight > 0 and attribution_model != '
                ~ "'ensemble')"
        }},
        {'holds': {'expression': 'is_enabled is not null'}},
        {'holds': {
            'name': 'decay_weights_belong_to_models_of_the_family_decay',
            'expression': "(decay_weight is not null) = (family = 'decay')"
        }},
    ],
    'conversion_types': [
        {'primary_key': {'columns': ['conversion_type']}},
        {'holds': {
            'name': 'conversion_types_are_enabled_or_not',
            'expression': 'is_enabled is not null'
        }},
    ],
    'position_shares': [
        {'primary_key': {'columns': ['attribution_model', 'coalesce(place, -1)']}},
        {'foreign_key': {
            'name': 'position_shares_belong_to_a_listed_model',
            'columns': ['attribution_model'],
            'to': ref('attribution_models')
        }},
    ],
    'ihc_curves': [
        {'primary_key': {'columns': ['phase', 'hours']}},
        {'holds': {
            'name': 'ihc_curves_are_memberships_of_a_known_phase',
            'expression':
                "phase in ('initializer', 'closer') and hours between 0 and 1000000 and "
                ~ 'membership between 0 and 1'
        }},
        {'same_total': {
            'name': 'both_ihc_curves_start_at_zero_hours',
            'expression': 'count(distinct case when hours = 0 then phase end)',
            'to': '(select 2 as curves)',
            'to_expression': 'max(curves)'
        }},
    ],
    'ihc_phase_weights': [
        {'primary_key': {'columns': ['phase']}},
        {'holds': {
            'name': 'ihc_weights_are_positive_and_of_a_known_phase',
            'expression': "phase in ('initializer', 'holder', 'closer') and weight > 0"
        }},
    ],
    'ihc_channel_factors': [
        {'primary_key': {'columns': ['phase', 'lower(trim(channel))']}},
        {'holds': {
            'name': 'ihc_factors_are_positive_and_of_a_known_phase',
            'expression': "phase in ('initializer', 'holder', 'closer') and factor > 0"
        }},
    ],
    'channel_groups': [
        {'primary_key': {'columns': ['lower(trim(channel))']}},
        {'holds': {'expression': 'channel_group is not null and is_paid is not null'}},
    ],
    'click_ids': [
        {'primary_key': {'columns': ['lower(trim(parameter))']}},
    ],
    'channel_groupings': [
        {'primary_key': {'columns': ['grouping', 'lower(trim(channel))']}},
        {'holds': {
            'name': 'channel_groupings_are_complete_and_not_the_standard_one',
            'expression': "channel_group is not null and lower(trim(grouping)) != 'standard'"
        }},
    ],
    'rejection_reasons': [
        {'primary_key': {'columns': ['rejection_reason']}},
        {'holds': {
            'name': 'rejection_reasons_have_a_severity',
            'expression': "severity in ('info', 'warn', 'error')"
        }},
    ],
    'currency_rates': [
        {'primary_key': {'columns': ['upper(trim(currency))', 'valid_from']}},
        {'holds': {'name': 'currency_rates_are_positive', 'expression': 'rate > 0'}},
    ],
    'email_rules': [
        {'primary_key': {'columns': ['lower(trim(domain))', 'rule']}},
        {'holds': {
            'name': 'email_rules_are_known',
            'expression':
                "rule in ('ignores_dots', 'ignores_plus_tags', 'disposable', 'placeholder') "
                ~ "or (rule like 'same_as:%.%' and rule != 'same_as:' || lower(trim(domain)))"
        }},
        {'holds': {
            'name': 'only_placeholders_are_more_than_a_domain',
            'expression': "domain is not null and (rule = 'placeholder' or domain not like '%@%')"
        }},
    ],
    'identity_rules': [
        {'primary_key': {'columns': ['rule']}},
        {'same_total': {
            'name': 'identity_rules_are_the_six',
            'expression':
                "count(case when rule in ('login', 'visitor', 'email', 'phone', "
                ~ "'same_customer', 'probabilistic') then 1 end)",
            'to': '(select 6 as rules)',
            'to_expression': 'max(rules)'
        }},
        {'holds': {
            'name': 'identity_rules_have_a_distance_and_a_confidence',
            'expression':
                "confidence > 0 and confidence <= 1 and (rule in ('same_customer', "
                ~ "'probabilistic') or distance >= 1)"
        }},
    ],
    'lift_tests': [
        {'holds': {
            'name': 'lift_tests_are_of_a_known_kind_and_have_an_error',
            'expression':
                "kind in ('holdout', 'geo', 'ghost') and std_error > 0 and lift is not null "
                ~ 'and start_date <= end_date'
        }},
    ],
}) }}

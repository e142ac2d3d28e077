-- What holds of the tables of models/intermediate/survival: docs/decisions/0017.

{{ checks_of({
    'int_survival_delays': [
        {'primary_key': {'columns': ['conversion_key', 'touchpoint_key']}},
        {'foreign_key': {
            'columns': ['conversion_key', 'touchpoint_key'],
            'to': ref('int_journey_touchpoints')
        }},
        {'holds': {
            'expression':
                'delay_days >= 0 and weight >= 1 and conversion_number between 1 and '
                ~ survival_fitted_conversions()
        }},
    ],
    'int_survival_exposure': [
        {'primary_key': {'columns': ['conversion_type', 'channel', 'days_bin']}},
        {'holds': {'expression': 'observed_days >= 0 and touches > 0'}},
    ],
    'int_survival_coefficients': [
        {'primary_key': {'columns': ['conversion_type', 'channel']}},
        {'holds': {'expression': 'beta >= 0 and omega > 0'}},
    ],
}) }}

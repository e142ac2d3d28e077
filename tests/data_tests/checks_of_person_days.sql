-- What holds of the tables of models/intermediate/person_days: docs/decisions/0017.

{{ checks_of({
    'int_person_day_draws': [
        {'primary_key': {'columns': ['conversion_type', 'source', 'person_day_id']}},
        {'holds': {'expression': 'days_at_risk >= 0 and window_opens_at <= observed_at'}},
        {'holds': {
            'name': 'person_days_are_of_the_reporting_period',
            'expression': in_reporting_period('observed_at')
        }},
        {'holds': {
            'name': 'a_conversion_has_a_weight_and_an_instant_has_chances',
            'expression':
                'case when is_conversion then weight >= 1 else per_day > 0 and per_touch > 0 end'
        }},
    ],
    'int_person_day_touches': [
        {'primary_key': {'columns': ['conversion_type', 'source', 'person_day_id', 'channel']}},
        {'foreign_key': {
            'columns': ['conversion_type', 'source', 'person_day_id'],
            'to': ref('int_person_day_draws')
        }},
        {'holds': {
            'expression':
                'level_2 >= 0 and level_2 <= level_8 and level_8 <= touches and is_behaviour '
                ~ 'is not null'
        }},
    ],
    'int_person_days': [
        {'primary_key': {'columns': ['conversion_type', 'source', 'person_day_id']}},
        {'holds': {'expression': 'weight > 0'}},
    ],
}) }}

-- What holds of the tables of models/intermediate/aggregates: docs/decisions/0017.

{{ checks_of({
    'int_transition_counts': [
        {'primary_key': {
            'columns': ['conversion_type', 'person_group', 'from_states', 'to_state']
        }},
        {'holds': {'expression': 'transitions > 0 and revenue is not null'}},
    ],
    'int_channel_sets': [
        {'primary_key': {'columns': ['conversion_type', 'channel_set']}},
        {'same_total': {
            'name': 'channel_sets_have_every_path',
            'expression': 'coalesce(sum(conversions + open_journeys), 0)',
            'to': ref('int_paths'),
            'to_expression': 'count(*)'
        }},
        {'holds': {'expression': 'conversions + open_journeys > 0 and revenue is not null'}},
    ],
}) }}

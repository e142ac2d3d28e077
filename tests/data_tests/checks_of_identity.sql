-- What holds of the tables of models/intermediate/identity: docs/decisions/0017.

{{ checks_of({
    'int_entity_persons': [
        {'primary_key': {'columns': ['source', 'entity', 'entity_key']}},
        {'holds': {
            'name': 'int_entity_persons_have_a_person',
            'expression': 'person_id is not null'
        }},
        {'holds': {
            'name': 'only_what_is_told_has_a_rule',
            'expression': '(rule is null) = (steps = 0) and (confidence is null) = is_conflict'
        }},
    ],
    'int_phone_values': [
        {'primary_key': {'columns': ['contact_value']}},
    ],
    'int_email_values': [
        {'primary_key': {'columns': ['contact_value']}},
    ],
    'int_phone_numbers': [
        {'primary_key': {'columns': ['contact_value']}},
        {'holds': {
            'expression':
                '(contact_hash is null) = (rejection_reason is not null) and (phone is null) '
                ~ '= (contact_hash is null)'
        }},
    ],
    'int_email_addresses': [
        {'primary_key': {'columns': ['contact_value']}},
        {'holds': {
            'expression':
                '(contact_hash is null) = (rejection_reason is not null) and (email is null) '
                ~ '= (contact_hash is null)'
        }},
    ],
    'int_entity_contacts': [
        {'primary_key': {
            'columns': [
                'source', 'entity', 'entity_key', 'contact_type', 'coalesce(contact_hash,
                rejection_reason)'
            ]
        }},
    ],
    'int_identity_ties': [
        {'primary_key': {
            'columns': ['source', 'left_entity', 'left_key', 'right_entity', 'right_key', 'rule']
        }},
        {'foreign_key': {'columns': ['rule'], 'to': ref('identity_rules')}},
    ],
    'int_identity_hubs': [
        {'primary_key': {'columns': ['source', 'entity', 'entity_key']}},
    ],
    'int_identity_nodes': [
        {'primary_key': {'columns': ['node']}},
        {'primary_key': {
            'name': 'identity_nodes_are_each_there_once',
            'columns': ['source', 'entity', 'entity_key']
        }},
    ],
    'int_identity_edges': [
        {'primary_key': {'columns': ['left_node', 'right_node', 'rule']}},
        {'holds': {'expression': 'distance >= 1'}},
    ],
    'int_same_customers': [
        {'primary_key': {'columns': ['source', 'left_customer_id', 'right_customer_id', 'rule']}},
        {'holds': {'expression': 'left_customer_id != right_customer_id'}},
    ],
    'int_identity_merges': [
        {'primary_key': {'columns': ['left_node', 'right_node', 'rule']}},
    ],
    'int_customer_records': [
        {'primary_key': {'columns': ['source', 'customer_id']}},
    ],
    'int_customer_matches': [
        {'primary_key': {'columns': ['source', 'left_customer_id', 'right_customer_id']}},
    ],
    'int_resolved_identities': [
        {'primary_key': {'columns': ['node']}},
    ],
    'int_identity_truth': [
        {'primary_key': {'columns': ['source', 'entity', 'entity_key']}},
    ],
    'int_match_outcomes': [
        {'primary_key': {'columns': ['source', 'entity', 'entity_key']}},
        {'holds': {
            'name': 'every_interaction_has_an_outcome',
            'expression': 'outcome is not null and is_matched is not null'
        }},
    ],
}) }}

-- What holds of the tables of models/intermediate/quality: docs/decisions/0017.

{{ checks_of({
    'int_calls': [
        {'primary_key': {'columns': ['source', 'call_id']}},
        {'holds': {'name': 'int_calls_is_complete', 'expression': 'called_at is not null'}},
    ],
    'int_customers': [
        {'primary_key': {'columns': ['source', 'customer_id']}},
        {'holds': {'name': 'int_customers_is_complete', 'expression': 'customer_id is not null'}},
    ],
    'int_appointments': [
        {'primary_key': {'columns': ['source', 'appointment_id']}},
        {'holds': {
            'name': 'int_appointments_is_complete',
            'expression': 'customer_id is not null and booked_at is not null'
        }},
    ],
    'int_revenue': [
        {'primary_key': {'columns': ['source', 'revenue_id']}},
        {'holds': {
            'name': 'int_revenue_is_complete',
            'expression':
                'customer_id is not null and service_date is not null and net is not null'
        }},
    ],
    'int_identity_links': [
        {'primary_key': {'columns': ['source', 'link_id']}},
        {'holds': {
            'name': 'int_identity_links_is_complete',
            'expression':
                'linked_at is not null and (is_anonymous or coalesce(user_id, customer_id, '
                ~ 'phone, email) is not null)'
        }},
    ],
    'int_spend': [
        {'holds': {
            'expression': 'spend_date is not null and channel is not null and spend is not null'
        }},
    ],
    'int_repeated_keys': [
        {'primary_key': {'columns': ['source', 'entity', 'entity_key']}},
    ],
    'int_rejected_rows': [
        {'foreign_key': {'columns': ['rejection_reason'], 'to': ref('rejection_reasons')}},
    ],
}) }}

-- What holds of the tables of models/intermediate/conversions: docs/decisions/0017.

{{ checks_of({
    'int_billing_rows': [
        {'primary_key': {'columns': ['source', 'revenue_id']}},
        {'same_total': {
            'name': 'int_billing_rows_keeps_every_revenue_row',
            'expression': 'count(*)',
            'to': ref('int_revenue'),
            'to_expression': 'count(*)'
        }},
        {'holds': {
            'name': 'every_payment_counts_to_itself',
            'expression': 'net <= 0 or payment_id = revenue_id'
        }},
    ],
    'int_payments': [
        {'primary_key': {'columns': ['source', 'payment_id']}},
        {'holds': {
            'name': 'payments_are_paid_less_refunded',
            'expression': 'paid > 0 and refunded <= 0 and revenue = paid + refunded'
        }},
    ],
    'int_events': [
        {'primary_key': {'columns': ['source', 'event', 'event_id']}},
        {'holds': {
            'name': 'int_events_are_complete',
            'expression': 'person_id is not null and occurred_at is not null'
        }},
    ],
    'int_conversions': [
        {'primary_key': {'columns': ['conversion_key'], 'is_number': true}},
        {'holds': {
            'expression':
                'source is not null and conversion_id is not null and person_id is not null '
                ~ 'and converted_at is not null and revenue is not null'
        }},
    ],
}) }}

-- What holds of the tables of models/staging/demo: docs/decisions/0017.
{{ config(enabled=is_source_enabled('demo')) }}

{{ checks_of({
    'stg_demo__sessions': [
        {'same_total': {
            'name': 'stg_demo__sessions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'sessions'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__conversions': [
        {'same_total': {
            'name': 'stg_demo__conversions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'conversions'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_demo__conversions_keeps_all_money',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': source('demo', 'conversions'),
            'to_expression': 'coalesce(sum(try_cast(revenue as decimal(28, 10))), 0)'
        }},
    ],
    'stg_demo__spend': [
        {'same_total': {
            'name': 'stg_demo__spend_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'spend'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_demo__spend_keeps_all_money',
            'expression': 'coalesce(sum(spend), 0)',
            'to': source('demo', 'spend'),
            'to_expression': 'coalesce(sum(try_cast(spend as decimal(28, 10))), 0)'
        }},
    ],
    'stg_demo__calls': [
        {'same_total': {
            'name': 'stg_demo__calls_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'calls'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__customers': [
        {'same_total': {
            'name': 'stg_demo__customers_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'customers'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__appointments': [
        {'same_total': {
            'name': 'stg_demo__appointments_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'appointments'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__revenue': [
        {'same_total': {
            'name': 'stg_demo__revenue_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'revenue'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_demo__revenue_keeps_all_money',
            'expression': 'coalesce(sum(net), 0)',
            'to': source('demo', 'revenue'),
            'to_expression': 'coalesce(sum(try_cast(net as decimal(28, 10))), 0)'
        }},
    ],
    'stg_demo__identity_links': [
        {'same_total': {
            'name': 'stg_demo__identity_links_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'identity_links'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__identity_truth': [
        {'same_total': {
            'name': 'stg_demo__identity_truth_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'identity_truth'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_demo__malformed_rows': [
        {'same_total': {
            'name': 'stg_demo__malformed_rows_keeps_every_row',
            'expression': 'count(*)',
            'to': source('demo', 'malformed_rows'),
            'to_expression': 'count(*)'
        }},
    ],
}) }}

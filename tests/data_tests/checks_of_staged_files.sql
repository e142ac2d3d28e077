-- What holds of the tables of models/staging/files: docs/decisions/0017.
{{ config(enabled=is_source_enabled('files')) }}

{{ checks_of({
    'stg_files__sessions': [
        {'same_total': {
            'name': 'stg_files__sessions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'sessions'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__conversions': [
        {'same_total': {
            'name': 'stg_files__conversions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'conversions'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_files__conversions_keeps_all_money',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': source('files', 'conversions'),
            'to_expression': 'coalesce(sum(try_cast(revenue as decimal(28, 10))), 0)'
        }},
    ],
    'stg_files__spend': [
        {'same_total': {
            'name': 'stg_files__spend_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'spend'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_files__spend_keeps_all_money',
            'expression': 'coalesce(sum(spend), 0)',
            'to': source('files', 'spend'),
            'to_expression': 'coalesce(sum(try_cast(spend as decimal(28, 10))), 0)'
        }},
    ],
    'stg_files__experiments': [
        {'same_total': {
            'name': 'stg_files__experiments_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'experiments'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__calls': [
        {'same_total': {
            'name': 'stg_files__calls_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'calls'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__customers': [
        {'same_total': {
            'name': 'stg_files__customers_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'customers'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__appointments': [
        {'same_total': {
            'name': 'stg_files__appointments_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'appointments'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__revenue': [
        {'same_total': {
            'name': 'stg_files__revenue_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'revenue'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_files__revenue_keeps_all_money',
            'expression': 'coalesce(sum(net), 0)',
            'to': source('files', 'revenue'),
            'to_expression': 'coalesce(sum(try_cast(net as decimal(28, 10))), 0)'
        }},
    ],
    'stg_files__identity_links': [
        {'same_total': {
            'name': 'stg_files__identity_links_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'identity_links'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_files__malformed_rows': [
        {'same_total': {
            'name': 'stg_files__malformed_rows_keeps_every_row',
            'expression': 'count(*)',
            'to': source('files', 'malformed_rows'),
            'to_expression': 'count(*)'
        }},
    ],
}) }}

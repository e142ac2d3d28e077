-- What holds of the tables of models/staging/ihc: docs/decisions/0017.
{{ config(enabled=is_source_enabled('ihc')) }}

{{ checks_of({
    'stg_ihc__sessions': [
        {'same_total': {
            'name': 'stg_ihc__sessions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('ihc', 'session_sources'),
            'to_expression': 'count(*)'
        }},
    ],
    'stg_ihc__conversions': [
        {'same_total': {
            'name': 'stg_ihc__conversions_keeps_every_row',
            'expression': 'count(*)',
            'to': source('ihc', 'conversions'),
            'to_expression': 'count(*)'
        }},
        {'same_total': {
            'name': 'stg_ihc__conversions_keeps_all_money',
            'expression': 'coalesce(sum(revenue), 0)',
            'to': source('ihc', 'conversions'),
            'to_expression': 'coalesce(sum(try_cast(revenue as decimal(28, 10))), 0)'
        }},
    ],
    'stg_ihc__spend': [
        {'same_total': {
            'name': 'stg_ihc__spend_keeps_all_money',
            'expression': 'coalesce(sum(spend), 0)',
            'to': source('ihc', 'session_costs'),
            'to_expression': 'coalesce(sum(try_cast(cost as decimal(28, 10))), 0)'
        }},
    ],
}) }}

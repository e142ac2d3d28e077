{#-
  Which of several rows with one id is used: the earliest, ties broken by content, so that the
  choice depends on the rows alone and not on the order in which they were delivered.
-#}
{% macro delivery_order(entity) -%}
    {%- set orders = {
        'sessions': [
            'started_at', 'user_id', 'channel', 'traffic_source', 'medium', 'campaign',
            'holder_engagement', 'closer_engagement', 'impression_interaction', 'raw_row'
        ],
        'conversions': ['converted_at', 'user_id', 'conversion_type', 'revenue', 'currency'],
        'calls': ['called_at', 'raw_row'],
        'customers': ['created_at', 'raw_row'],
        'appointments': ['booked_at', 'raw_row'],
        'revenue': ['service_date', 'raw_row'],
        'identity_links': ['linked_at', 'raw_row']
    } -%}
    {{ orders[entity] | join(', ') }}
{%- endmacro %}

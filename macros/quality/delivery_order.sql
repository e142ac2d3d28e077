{#-
  Which of several rows with one id is used: the earliest, ties broken by content, so that the
  choice depends on the rows alone and not on the order in which they were delivered.
-#}
{% macro delivery_order(entity) -%}
    {%- set orders = {
        'touchpoints': [
            'touched_at', 'person_id', 'channel', 'traffic_source', 'medium', 'campaign',
            'holder_engagement', 'closer_engagement', 'impression_interaction'
        ],
        'conversions': ['converted_at', 'person_id', 'conversion_type', 'revenue', 'currency']
    } -%}
    {{ orders[entity] | join(', ') }}
{%- endmacro %}

{#-
  The entities that sources deliver, each with its key, its amount of money, if any (as delivered it is
  original_<amount>), and its content: what makes two rows of one key the same row, the time of the
  event first. The key of spend is optional: without one, two equal rows are two charges.
-#}
{% macro entities() %}
    {{ return({
        'sessions': {'key': 'session_id', 'amount': none, 'content': [
            'started_at', 'user_id', 'channel', 'traffic_source', 'medium', 'campaign', 'referrer',
            'landing_page', 'holder_engagement', 'closer_engagement', 'impression_interaction'
        ]},
        'conversions': {'key': 'conversion_id', 'amount': 'revenue', 'content': [
            'converted_at', 'user_id', 'conversion_type', 'original_revenue', 'original_currency'
        ]},
        'spend': {'key': 'spend_id', 'amount': 'spend', 'content': [
            'spend_date', 'channel', 'campaign', 'account', 'touchpoint_id', 'original_spend',
            'original_currency'
        ]},
        'calls': {'key': 'call_id', 'amount': none, 'content': [
            'called_at', 'phone', 'email', 'user_id', 'channel', 'traffic_source', 'medium',
            'campaign', 'referral_source_id', 'tracking_label', 'landing_page', 'first_touch',
            'last_touch', 'duration_seconds'
        ]},
        'customers': {'key': 'customer_id', 'amount': none, 'content': [
            'created_at', 'referral_source_id', 'first_name', 'last_name', 'birth_date', 'city',
            'phones', 'emails'
        ]},
        'appointments': {'key': 'appointment_id', 'amount': none, 'content': [
            'booked_at', 'customer_id', 'attended_at', 'status'
        ]},
        'revenue': {'key': 'revenue_id', 'amount': 'net', 'content': [
            'service_date', 'customer_id', 'original_net', 'revenue_center', 'original_currency'
        ]},
        'identity_links': {'key': 'link_id', 'amount': none, 'content': [
            'linked_at', 'user_id', 'customer_id', 'phone', 'email', 'kind', 'channel',
            'traffic_source', 'medium', 'campaign', 'landing_page'
        ]}
    }) }}
{% endmacro %}

{#- The sources that may deliver an entity. -#}
{% macro sources_with(entity) %}
    {{ return(
        known_sources() if entity in ['sessions', 'conversions', 'spend'] else ['demo', 'files']
    ) }}
{% endmacro %}

{#- The model of an entity's usable rows. Conversions also come about from other entities. -#}
{% macro usable_model(entity) %}
    {{ return('int_delivered_conversions' if entity == 'conversions' else 'int_' ~ entity) }}
{% endmacro %}

{#- A rejected cost is known by its own id or by that of its touchpoint. -#}
{% macro key_of_a_rejected_row(entity) -%}
    {{ 'coalesce(spend_id, touchpoint_id)' if entity == 'spend' else entities()[entity].key }}
{%- endmacro %}

{#- The money of a row in the currency that it came in; null for entities without any. -#}
{% macro delivered_amount(entity, table='') -%}
    {%- set amount = entities()[entity].amount -%}
    {{ table ~ 'original_' ~ amount if amount else 'cast(null as decimal(28, 10))' }}
{%- endmacro %}

{#- Do two rows of an entity say the same? Null is the same as null. -#}
{% macro has_same_content(entity, one, other) -%}
    {%- for column in entities()[entity].content -%}
        {{ ' and ' if not loop.first -}}
        ({{ one }}.{{ column }} is not distinct from {{ other }}.{{ column }})
    {%- endfor -%}
{%- endmacro %}

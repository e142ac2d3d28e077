{#-
  The entities that sources deliver, each with its key and its amount of money, if any. Rows of
  spend have no key: two equal rows are two charges.
-#}
{% macro entities() %}
    {{ return({
        'sessions': {'key': 'session_id', 'amount': none},
        'conversions': {'key': 'conversion_id', 'amount': 'revenue'},
        'spend': {'key': none, 'amount': 'spend'},
        'calls': {'key': 'call_id', 'amount': none},
        'customers': {'key': 'customer_id', 'amount': none},
        'appointments': {'key': 'appointment_id', 'amount': none},
        'revenue': {'key': 'revenue_id', 'amount': 'net'},
        'identity_links': {'key': 'link_id', 'amount': none}
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

{#- The contract of a folder: what each entity may and must have, and whether it must be there. -#}
{% macro folder_contract() %}
    {% set needed_text = {'kind': 'text', 'required': true} %}
    {% set needed_time = {'kind': 'time', 'required': true} %}
    {% set needed_number = {'kind': 'number', 'required': true} %}
    {% set text = {'kind': 'text', 'required': false} %}
    {% set texts = {'kind': 'texts', 'required': false} %}
    {% set time = {'kind': 'time', 'required': false} %}
    {% set number = {'kind': 'number', 'required': false} %}
    {% set loaded_at, loaded_from = time, {'kind': 'file', 'required': false} %}
    {% set customer_id = {'kind': 'text', 'required': true, 'also': ['patient_id']} %}
    {{ return({
        'sessions': {'is_required': true, 'columns': {
            'session_id': needed_text,
            'user_id': needed_text,
            'started_at': needed_time,
            'channel': {
                'kind': 'text', 'required': true, 'unless': ['source', 'landing_page', 'referrer']
            },
            'source': text,
            'medium': text,
            'campaign': text,
            'referrer': text,
            'landing_page': text,
            'holder_engagement': number,
            'closer_engagement': number,
            'impression_interaction': number,
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'conversions': {'is_required': true, 'columns': {
            'conversion_id': needed_text,
            'user_id': needed_text,
            'converted_at': needed_time,
            'revenue': needed_number,
            'conversion_type': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'spend': {'is_required': false, 'columns': {
            'spend_id': text,
            'date': needed_time,
            'channel': needed_text,
            'spend': needed_number,
            'campaign': text,
            'account': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'calls': {'is_required': false, 'columns': {
            'call_id': {'kind': 'text', 'required': true, 'also': ['id']},
            'called_at': {'kind': 'time', 'required': true, 'also': ['start_time']},
            'contact_number': {
                'kind': 'text', 'required': true,
                'also': ['customer_phone_number', 'caller_number']
            },
            'email': text,
            'visitor_id': {'kind': 'text', 'required': false, 'also': ['visitor_sid']},
            'channel': text,
            'source': text,
            'medium': text,
            'campaign': text,
            'referral': {'kind': 'text', 'required': false, 'also': ['referral_source_id']},
            'tracking_label': {'kind': 'text', 'required': false, 'also': ['source_name']},
            'landing_page': {'kind': 'text', 'required': false, 'also': ['landing_page_url']},
            'first_touch': text,
            'last_touch': text,
            'duration': {'kind': 'number', 'required': false, 'also': ['duration_seconds']},
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'customers': {'is_required': false, 'columns': {
            'customer_id': customer_id,
            'phone': texts,
            'email': texts,
            'referral_source_id': text,
            'created_at': time,
            'first_name': text,
            'last_name': text,
            'birth_date': text,
            'city': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'appointments': {'is_required': false, 'columns': {
            'appointment_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'customer_id': customer_id,
            'booked_at': needed_time,
            'attended_at': time,
            'status': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'revenue': {'is_required': false, 'columns': {
            'revenue_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'customer_id': customer_id,
            'service_date': needed_time,
            'net': needed_number,
            'revenue_center': text,
            'currency': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }},
        'identity_links': {'is_required': false, 'columns': {
            'link_id': {'kind': 'text', 'required': false, 'also': ['id']},
            'linked_at': needed_time,
            'user_id': text,
            'customer_id': {'kind': 'text', 'required': false, 'also': ['patient_id']},
            'phone': text,
            'email': text,
            'kind': text,
            'channel': text,
            'source': text,
            'medium': text,
            'campaign': text,
            'landing_page': text,
            'consent': text,
            'loaded_at': loaded_at,
            'loaded_from': loaded_from
        }}
    }) }}
{% endmacro %}

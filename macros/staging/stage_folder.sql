{#- Staging of a folder's entities: the same for a user's files and for the demo. -#}

{#-
  The id of a row or, where it has none, one made of its content; equal rows are numbered. When and
  from which file a row was loaded is no content: the id must outlive a copy of the file.
-#}
{% macro id_or_row_number(column, entity) -%}
    {%- set content = columns_as_json(
        folder_contract()[entity].columns.keys() | reject('in', ['loaded_at', 'loaded_from']) | list
    ) -%}
    coalesce(
        {{ to_text(column) }},
        concat(
            'row-', left(md5({{ content }}), 16), '-',
            row_number() over (partition by {{ content }})
        )
    )
{%- endmacro %}

{#- When a row was loaded, where it says so, and from which file, where it is of one. -#}
{% macro load_columns() -%}
    {{ to_utc_timestamp('loaded_at') }} as loaded_at,
        loaded_from
{%- endmacro %}

{% macro stage_folder_sessions(source_name) %}
with sessions as (

    select * from {{ source(source_name, 'sessions') }}

),

read_sessions as (

    select
        '{{ source_name }}' as source,
        {{ to_text('session_id') }} as session_id,
        {{ to_text('user_id') }} as user_id,
        {{ to_utc_timestamp('started_at') }} as started_at,
        {{ to_text('channel') }} as channel,
        {{ to_text('source') }} as traffic_source,
        {{ to_text('medium') }} as medium,
        {{ to_text('campaign') }} as campaign,
        {{ to_text('referrer') }} as referrer,
        {{ to_text('landing_page') }} as landing_page,
        {{ to_flag('holder_engagement') }} as holder_engagement,
        {{ to_flag('closer_engagement') }} as closer_engagement,
        {{ to_flag('impression_interaction') }} as impression_interaction,
        {{ to_consent('consent') }} as has_consent,
        {{ whole_row('sessions') }} as delivered_row,
        {{ load_columns() }}
    from sessions

),

final as (

    select
        *,
        {{ session_as_json('delivered_row') }} as raw_row
    from read_sessions

)

select * from final
{% endmacro %}

{% macro stage_folder_conversions(source_name) %}
with conversions as (

    select * from {{ source(source_name, 'conversions') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ to_text('conversion_id') }} as conversion_id,
        {{ to_text('user_id') }} as user_id,
        coalesce({{ to_text('conversion_type') }}, 'purchase') as conversion_type,
        {{ to_utc_timestamp('converted_at') }} as converted_at,
        {{ to_amount('revenue') }} as revenue,
        upper({{ to_text('currency') }}) as currency,
        {{ row_as_json('conversions') }} as raw_row,
        {{ load_columns() }}
    from conversions

)

select * from final
{% endmacro %}

{% macro stage_folder_spend(source_name) %}
with spend_rows as (

    select * from {{ source(source_name, 'spend') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ to_text('spend_id') }} as spend_id,
        cast({{ to_utc_timestamp('date') }} as date) as spend_date,
        {{ to_text('channel') }} as channel,
        {{ to_text('campaign') }} as campaign,
        {{ to_text('account') }} as account,
        cast(null as varchar) as touchpoint_id,
        {{ to_amount('spend') }} as spend,
        upper({{ to_text('currency') }}) as currency,
        {{ row_as_json('spend_rows') }} as raw_row,
        {{ load_columns() }}
    from spend_rows

)

select * from final
{% endmacro %}

{% macro stage_folder_calls(source_name) %}
with calls as (

    select * from {{ source(source_name, 'calls') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ to_text('call_id') }} as call_id,
        {{ to_utc_timestamp('called_at') }} as called_at,
        {{ to_text('contact_number') }} as phone,
        {{ to_text('email') }} as email,
        {{ to_text('visitor_id') }} as user_id,
        {{ to_text('channel') }} as channel,
        {{ to_text('source') }} as traffic_source,
        {{ to_text('medium') }} as medium,
        {{ to_text('campaign') }} as campaign,
        {{ to_text('referral') }} as referral_source_id,
        {{ to_text('tracking_label') }} as tracking_label,
        {{ to_text('landing_page') }} as landing_page,
        {{ to_text('first_touch') }} as first_touch,
        {{ to_text('last_touch') }} as last_touch,
        {{ to_seconds('duration') }} as duration_seconds,
        {{ to_consent('consent') }} as has_consent,
        {{ row_as_json('calls') }} as raw_row,
        {{ load_columns() }}
    from calls

)

select * from final
{% endmacro %}

{% macro stage_folder_customers(source_name) %}
with customers as (

    select * from {{ source(source_name, 'customers') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ to_text('customer_id') }} as customer_id,
        {{ to_utc_timestamp('created_at') }} as created_at,
        {{ to_text('referral_source_id') }} as referral_source_id,
        {{ to_text('first_name') }} as first_name,
        {{ to_text('last_name') }} as last_name,
        {{ to_text('birth_date') }} as birth_date,
        {{ to_text('city') }} as city,
        phone as phones,
        email as emails,
        {{ row_as_json('customers') }} as raw_row,
        {{ load_columns() }}
    from customers

)

select * from final
{% endmacro %}

{% macro stage_folder_appointments(source_name) %}
with appointments as (

    select * from {{ source(source_name, 'appointments') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ id_or_row_number('appointment_id', 'appointments') }} as appointment_id,
        {{ to_text('customer_id') }} as customer_id,
        {{ to_utc_timestamp_or_day('booked_at') }} as booked_at,
        {{ to_utc_timestamp_or_day('attended_at') }} as attended_at,
        lower({{ to_text('status') }}) as status,
        {{ row_as_json('appointments') }} as raw_row,
        {{ load_columns() }}
    from appointments

)

select * from final
{% endmacro %}

{% macro stage_folder_revenue(source_name) %}
with revenue_rows as (

    select * from {{ source(source_name, 'revenue') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ id_or_row_number('revenue_id', 'revenue') }} as revenue_id,
        {{ to_text('customer_id') }} as customer_id,
        cast({{ to_utc_timestamp('service_date') }} as date) as service_date,
        {{ to_amount('net') }} as net,
        {{ to_text('revenue_center') }} as revenue_center,
        upper({{ to_text('currency') }}) as currency,
        {{ row_as_json('revenue_rows') }} as raw_row,
        {{ load_columns() }}
    from revenue_rows

)

select * from final
{% endmacro %}

{% macro stage_folder_identity_links(source_name) %}
with identity_links as (

    select * from {{ source(source_name, 'identity_links') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ id_or_row_number('link_id', 'identity_links') }} as link_id,
        {{ to_utc_timestamp('linked_at') }} as linked_at,
        {{ to_text('user_id') }} as user_id,
        {{ to_text('customer_id') }} as customer_id,
        {{ to_text('phone') }} as phone,
        {{ to_text('email') }} as email,
        coalesce(lower({{ to_text('kind') }}), 'login') as kind,
        {{ to_text('channel') }} as channel,
        {{ to_text('source') }} as traffic_source,
        {{ to_text('medium') }} as medium,
        {{ to_text('campaign') }} as campaign,
        {{ to_text('landing_page') }} as landing_page,
        {{ to_consent('consent') }} as has_consent,
        {{ row_as_json('identity_links') }} as raw_row,
        {{ load_columns() }}
    from identity_links

)

select * from final
{% endmacro %}

{% macro stage_folder_malformed_rows(source_name) %}
with malformed_rows as (

    select * from {{ source(source_name, 'malformed_rows') }}

),

final as (

    select
        '{{ source_name }}' as source,
        entity,
        {{ row_as_json('malformed_rows') }} as raw_row
    from malformed_rows

)

select * from final
{% endmacro %}

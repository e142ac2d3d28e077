{#- Staging of a folder's entities: the same for a user's files and for the demo. -#}

{% macro stage_folder_touchpoints(source_name) %}
with sessions as (

    select * from {{ source(source_name, 'sessions') }}

),

final as (

    select
        '{{ source_name }}' as source,
        {{ to_text('session_id') }} as touchpoint_id,
        {{ to_text('user_id') }} as person_id,
        {{ to_utc_timestamp('started_at') }} as touched_at,
        {{ to_text('channel') }} as channel,
        {{ to_text('source') }} as traffic_source,
        {{ to_text('medium') }} as medium,
        {{ to_text('campaign') }} as campaign,
        {{ to_flag('holder_engagement') }} as holder_engagement,
        {{ to_flag('closer_engagement') }} as closer_engagement,
        {{ to_flag('impression_interaction') }} as impression_interaction,
        {{ row_as_json('sessions') }} as raw_row
    from sessions

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
        {{ to_text('user_id') }} as person_id,
        coalesce({{ to_text('conversion_type') }}, 'purchase') as conversion_type,
        {{ to_utc_timestamp('converted_at') }} as converted_at,
        {{ to_amount('revenue') }} as revenue,
        upper({{ to_text('currency') }}) as currency,
        {{ row_as_json('conversions') }} as raw_row
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
        cast({{ to_utc_timestamp('date') }} as date) as spend_date,
        {{ to_text('channel') }} as channel,
        {{ to_text('campaign') }} as campaign,
        {{ to_text('account') }} as account,
        cast(null as varchar) as touchpoint_id,
        {{ to_amount('spend') }} as spend,
        {{ row_as_json('spend_rows') }} as raw_row
    from spend_rows

)

select * from final
{% endmacro %}

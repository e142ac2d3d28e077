-- grain: one row per row of conversions; nothing is dropped.
{{ config(enabled=is_source_enabled('ihc')) }}

with conversions as (

    select * from {{ source('ihc', 'conversions') }}

),

final as (

    select
        'ihc' as source,
        {{ to_text('conv_id') }} as conversion_id,
        {{ to_text('user_id') }} as user_id,
        'purchase' as conversion_type,
        {{ to_utc_timestamp("conv_date || ' ' || conv_time") }} as converted_at,
        {{ to_amount('revenue') }} as revenue,
        cast(null as varchar) as currency,
        {{ row_as_json('conversions') }} as raw_row,
        cast(null as timestamp) as loaded_at,
        cast(null as varchar) as loaded_from
    from conversions

)

select * from final

-- grain: one row per row of the experiments input; the landing step lets none pass that is wrong.
{{ config(enabled=is_source_enabled('files')) }}

with experiments as (

    select * from {{ source('files', 'experiments') }}

),

final as (

    select
        coalesce({{ to_text('conversion_type') }}, 'purchase') as conversion_type,
        {{ to_text('channel') }} as channel,
        lower({{ to_text('kind') }}) as kind,
        cast({{ to_utc_timestamp('start_date') }} as date) as start_date,
        cast({{ to_utc_timestamp('end_date') }} as date) as end_date,
        cast(lift as double) as lift,
        cast(std_error as double) as std_error
    from experiments

)

select * from final

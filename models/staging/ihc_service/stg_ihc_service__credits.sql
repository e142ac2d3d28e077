-- grain: one row per row of the service's results; nothing is dropped. Empty without results.
with credits as (

    select * from {{ source('ihc_service', 'credits') }}

),

final as (

    select
        {{ to_text('source') }} as source,
        {{ to_text('conversion_id') }} as conversion_id,
        {{ to_text('session_id') }} as touchpoint_id,
        try_cast(initializer as double) as initializer,
        try_cast(holder as double) as holder,
        try_cast(closer as double) as closer,
        try_cast(ihc as double) as ihc,
        {{ to_utc_timestamp('computed_at') }} as computed_at
    from credits

)

select * from final

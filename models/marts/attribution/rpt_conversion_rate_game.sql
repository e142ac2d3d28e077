-- grain: one row per conversion type and channel touched. A diagnostic and no accounting: values
-- are differences of conversion rates and do not add up to conversions.
with conversion_rate_game as (

    select * from {{ ref('conversion_rate_game') }}

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(channel as varchar) as channel,
        cast(value as double) as conversion_rate_value,
        cast(std_error as double) as sampling_std_error,
        cast(method as varchar) as method
    from conversion_rate_game

)

select * from final

-- grain: one row per conversion type and diagnostic of the data-driven model. Not additive.
with results as (

    select * from {{ ref('data_driven') }}
    where kind = 'diagnostic'

),

final as (

    select
        cast(conversion_type as varchar) as conversion_type,
        cast(name as varchar) as diagnostic,
        cast(value as double) as diagnostic_value
    from results

)

select * from final

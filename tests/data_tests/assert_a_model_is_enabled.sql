-- At least one attribution model is enabled.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

)

select 'attribution_models' as seed
where not exists (select 1 from enabled_models)

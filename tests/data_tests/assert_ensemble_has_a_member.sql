-- Where the ensemble is enabled, so is a model with an ensemble_weight.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

members as (

    select * from enabled_models
    where ensemble_weight > 0

)

select attribution_model
from enabled_models
where attribution_model = 'ensemble' and not exists (select 1 from members)

-- grain: one row per conversion, touchpoint and enabled attribution model. credit adds up to 1 per
-- conversion and model; do not sum across models.
{{ config(materialized='view') }}

with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

credits as (

    {% for table, models in credit_tables().items() %}
    {% set is_last_table = loop.last %}
    {% for model in models %}
    select
        source,
        conversion_id,
        touchpoint_id,
        '{{ model }}' as attribution_model,
        {{ model }} as credit
    from {{ ref(table) }}
    {% if not (is_last_table and loop.last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}

),

final as (

    select credits.*
    from credits
    inner join enabled_models
        on credits.attribution_model = enabled_models.attribution_model

)

select * from final

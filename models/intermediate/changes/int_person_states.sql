-- grain: one row per person. fingerprint says as what the rows of the person in all
-- models by person are right; null where they may not be. Not additive.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- for name in models_by_person() %}
-- depends_on: {{ ref(name) }}
{%- endfor %}

with fingerprints as (

    -- Where not all models by person are part of the build, states stay as they are, and what
    -- changed is left to the next one.
    select * from {{ ref('int_person_fingerprints') }}
    {% if not are_models_by_person_built() %}
    where false
    {% endif %}

),

final as (

    select
        person_key,
        fingerprint
    from fingerprints

)

select * from final

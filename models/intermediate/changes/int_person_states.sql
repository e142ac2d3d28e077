-- grain: one row per person. fingerprint says as what the rows of the person in all
-- models by person are right; null where they may not be. Not additive.
{%- for name in models_by_person() %}
-- depends_on: {{ ref(name) }}
{%- endfor %}

with fingerprints as (

    -- Where not all models by person are part of the build, what changed is left to the next one.
    {% if are_models_by_person_built() %}
    select * from {{ ref('int_person_fingerprints') }}
    {% else %}
    {{ last_person_states() }}
    {% endif %}

),

final as (

    select
        person_key,
        fingerprint
    from fingerprints

)

select * from final

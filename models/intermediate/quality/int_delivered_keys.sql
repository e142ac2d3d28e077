-- grain: one row per source, kind and value: each id, phone number and e-mail address that names a
-- person, as delivered. Read only where somebody was erased.
{{ config(materialized='view', schema='restricted') }}
{%- set entities_of_persons = entities().keys() | reject('equalto', 'spend') | list %}

with delivered as (

    {% for entity in entities_of_persons %}
    {% set is_last = loop.last %}
    {% for column, kind in person_keys(entity).items() %}
    select
        source,
        '{{ kind }}' as kind,
        {{ each_of_list(column) if column in ['phones', 'emails'] else column }} as value
    from {{ ref('int_' ~ entity ~ '_unioned') }}
    {% if not (loop.last and is_last) %}union all{% endif %}
    {% endfor %}
    {% endfor %}

),

final as (

    select distinct
        source,
        kind,
        {{ to_text('value') }} as value
    from delivered
    where {{ to_text('value') }} is not null

)

select * from final

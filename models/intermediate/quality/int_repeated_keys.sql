-- grain: one row per source, entity and id that more than one usable row has.
with final as (

    {% for entity, columns in entities().items() %}
    select
        source,
        '{{ entity }}' as entity,
        {{ columns.key }} as entity_key
    from {{ ref('int_' ~ entity ~ '_checked') }}
    where
        rejection_reason is null
        and {{ columns.key }} is not null
    group by source, {{ columns.key }}
    having count(*) > 1
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final

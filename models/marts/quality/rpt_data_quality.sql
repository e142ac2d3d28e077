-- grain: one row per source, entity and outcome (used; anonymised: used as nobody's; or the reason
-- of a rejection). row_count is additive: per source and entity it adds up to the rows delivered.
with rejected_rows as (

    select * from {{ ref('int_rejected_rows') }}

),

rejection_reasons as (

    select * from {{ ref('rejection_reasons') }}

),

used as (

    {% for entity in entities() %}
    {% set use_outcome = "case when is_anonymous then 'anonymised' else 'used' end"
        if entity in ['sessions', 'calls', 'identity_links'] else "'used'" %}
    select
        source,
        '{{ entity }}' as entity,
        {{ use_outcome }} as outcome,
        count(*) as row_count
    from {{ ref(usable_model(entity)) }}
    group by source, outcome
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

rejected as (

    select
        source,
        entity,
        rejection_reason,
        count(*) as row_count
    from rejected_rows
    group by source, entity, rejection_reason

),

final as (

    select
        source,
        entity,
        outcome,
        row_count,
        cast(null as varchar) as severity,
        cast(null as varchar) as advice
    from used
    union all
    select
        rejected.source,
        rejected.entity,
        rejected.rejection_reason as outcome,
        rejected.row_count,
        rejection_reasons.severity,
        rejection_reasons.advice
    from rejected
    left join rejection_reasons
        on rejected.rejection_reason = rejection_reasons.rejection_reason

)

select * from final

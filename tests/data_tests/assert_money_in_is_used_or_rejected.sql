-- Per source and entity, the money of every row delivered is used or rejected, to the cent, in the
-- currency that it came in.
with rejected_rows as (

    select * from {{ ref('int_rejected_rows') }}

),

delivered as (

    {% for entity, columns in entities().items() if columns.amount %}
    select
        source,
        '{{ entity }}' as entity,
        coalesce(sum({{ columns.amount }}), 0) as amount
    from {{ ref('int_' ~ entity ~ '_unioned') }}
    group by source
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

accounted_rows as (

    {% for entity, columns in entities().items() if columns.amount %}
    select
        source,
        '{{ entity }}' as entity,
        {{ 'original_' if reporting_currency() }}{{ columns.amount }} as amount
    from {{ ref(usable_model(entity)) }}
    union all
    {% endfor %}
    select
        source,
        entity,
        amount
    from rejected_rows
    where entity in ('conversions', 'revenue', 'spend')

),

accounted as (

    select
        source,
        entity,
        coalesce(sum(amount), 0) as amount
    from accounted_rows
    group by source, entity

)

select
    delivered.amount as amount_delivered,
    accounted.amount as amount_accounted,
    coalesce(delivered.source, accounted.source) as source,
    coalesce(delivered.entity, accounted.entity) as entity
from delivered
full outer join accounted
    on
        delivered.source = accounted.source
        and delivered.entity = accounted.entity
where ({{ is_same_money('accounted.amount', 'delivered.amount') }}) is not true

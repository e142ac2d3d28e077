-- Per source and entity, every row delivered is used once or rejected once.
with data_quality as (

    select * from {{ ref('rpt_data_quality') }}

),

delivered_rows as (

    {% for entity in entities() %}
    select
        source,
        '{{ entity }}' as entity
    from {{ ref('int_' ~ entity ~ '_unioned') }}
    union all
    {% endfor %}
    select
        source,
        entity
    from {{ ref('int_malformed_rows_unioned') }}

),

delivered as (

    select
        source,
        entity,
        count(*) as row_count
    from delivered_rows
    group by source, entity

),

accounted as (

    select
        source,
        entity,
        sum(row_count) as row_count
    from data_quality
    group by source, entity

)

select
    delivered.row_count as rows_delivered,
    accounted.row_count as rows_accounted,
    coalesce(delivered.source, accounted.source) as source,
    coalesce(delivered.entity, accounted.entity) as entity
from delivered
full outer join accounted
    on
        delivered.source = accounted.source
        and delivered.entity = accounted.entity
where (delivered.row_count = accounted.row_count) is not true

{#- The measures of rpt_coverage. -#}
{% macro coverage_measures() %}
    {{ return([
        'conversions_with_journey', 'journeys_with_known_channel', 'revenue_attributed',
        'interactions_matched'
    ]) }}
{% endmacro %}

{#-
  A query of what is beyond a threshold, each row with a message, and the messages told to whoever
  builds: dbt itself says of a failed test only how many rows it found.
-#}
{% macro told(query, relation) %}
    {% if execute and load_relation(relation) is not none %}
        {% for message in query_column('select message from (' ~ query ~ ') as breaches order by 1') %}
            {% do log(message, info=true) %}
        {% endfor %}
    {% endif %}
    {{ return(query) }}
{% endmacro %}

{#- Sources and entities more of whose rows are rejected, for reasons of these severities, than allowed. -#}
{% macro rejected_beyond(limit, severities) -%}
{% set relation = ref('rpt_data_quality') %}
{% set severities = "('" ~ severities | join("', '") ~ "')" %}
{% set query -%}
with data_quality as (

    select * from {{ relation }}

),

shares as (

    select
        source,
        entity,
        sum(row_count) as delivered,
        sum(case when severity in {{ severities }} then row_count else 0 end) as rejected,
        {{ dbt.listagg(
            "case when severity in " ~ severities ~ " then concat(outcome, ' ', row_count) end",
            "', '", "order by row_count desc, outcome"
        ) }} as reasons
    from data_quality
    group by source, entity

)

select
    source,
    entity,
    cast(rejected as double) / delivered as rejected_share,
    concat(
        'Source ', source, ', ', entity, ': ', round(100.0 * rejected / delivered, 2), ' % of ',
        delivered, ' rows are rejected (', reasons, '), more than the {{ 100 * (limit or 0) | float }} %'
        ' allowed. What to do about each reason is in rpt_data_quality.'
    ) as message
from shares
where cast(rejected as double) / delivered > {{ limit if limit is not none else 'null' }}
{%- endset %}
{{ return(told(query, relation)) }}
{%- endmacro %}

{#- Rows of rpt_coverage whose share is below the minimum of their measure. -#}
{% macro coverage_below(minimums) -%}
{% set relation = ref('rpt_coverage') %}
{% set query -%}
with coverage as (

    select * from {{ relation }}

),

minimums as (

    {% for measure, minimum in minimums.items() %}
    select
        '{{ measure }}' as measure,
        {{ minimum }} as minimum
    union all
    {% endfor %}
    select
        null as measure,
        null as minimum
    where false

)

select
    coverage.measure,
    coverage.source,
    coverage.kind,
    coverage.share,
    concat(
        'Source ', coverage.source, ', ', coverage.kind, ': ', coverage.measure, ' is ',
        round(100 * coverage.share, 2), ' % (', round(coverage.numerator, 2), ' of ',
        round(coverage.denominator, 2), '), less than the ', 100 * minimums.minimum,
        ' % asked for. What it was in earlier runs is in rpt_coverage_history.'
    ) as message
from coverage
inner join minimums
    on coverage.measure = minimums.measure
where coverage.share < minimums.minimum
{%- endset %}
{{ return(told(query, relation)) }}
{%- endmacro %}

{#-
  Fails for every key that is not unique or not complete (any of its columns null). Numbers that
  follow from the keys are grouped first, and keys are compared only where a number repeats: that
  needs a fraction of the memory.
-#}
{% test primary_key(model, columns) %}
{%- set is_incomplete = columns | join(' is null or ') ~ ' is null' %}

with suspected as (

    select {{ row_hash(columns) }} as key_hash
    from {{ model }}
    group by key_hash
    having count(*) > 1 or count(case when {{ is_incomplete }} then 1 end) > 0

)

select
    {{ columns | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
where {{ row_hash(columns) }} in (select suspected.key_hash from suspected)
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ is_incomplete }}
{% endtest %}

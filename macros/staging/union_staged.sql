{#-
  The rows of an entity from every enabled source that has it, with the columns of the model's own
  contract; no rows where no enabled source has it.
-#}
{% macro union_staged(entity) %}
with unioned as (

    {% set sources = enabled_sources() | select('in', sources_with(entity)) | list %}
    {% for source in sources %}
    select
        {{ model.columns.keys() | join(',\n        ') }}
    from {{ ref('stg_' ~ source ~ '__' ~ entity) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
    {% if not sources %}
    select
        {% for column in model.columns.values() %}
        cast(null as {{ column.data_type }}) as {{ column.name }}{{ ',' if not loop.last }}
        {% endfor %}
    where false
    {% endif %}

)

select * from unioned
{% endmacro %}

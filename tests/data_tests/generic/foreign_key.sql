{#- Fails for every row whose key columns, null included, have no row in the parent. -#}
{% test foreign_key(model, columns, to) %}
select child.*
from {{ model }} as child
left join {{ to }} as parent
    on
        {% for column in columns %}
        child.{{ column }} = parent.{{ column }} {{ 'and' if not loop.last }}
        {% endfor %}
where parent.{{ columns[0] }} is null
{% endtest %}

{#-
  Selects of the rows of a relation that fail a check. A generic test of the same name asks for one of
  them; the generic test checks asks for several at once.
-#}

{#-
  Every key that is not unique or not complete (any of its columns null). Numbers that follow from the
  keys are grouped first, and keys are compared only where a number repeats: that needs a fraction of
  the memory. Many keys of one column of whole numbers (is_number) are compared each with the one before
  it, which takes half as long; row_count is how many are too many then.
-#}
{% macro fails_primary_key(model, columns, is_number=false) -%}
    {%- set is_incomplete = columns | join(' is null or ') ~ ' is null' -%}
    {%- if is_number -%}
    select
        {{ columns[0] }},
        count(*) as row_count
    from (
        select
            {{ columns[0] }},
            lag({{ columns[0] }}) over (order by {{ columns[0] }}) as key_before
        from {{ model }}
    ) as sorted
    where {{ columns[0] }} = key_before or {{ is_incomplete }}
    group by {{ columns[0] }}
    {%- else -%}
    select
        {{ columns | join(',\n        ') }},
        count(*) as row_count
    from {{ model }}
    where {{ row_hash(columns) }} in (
        select suspected.key_hash
        from (
            select {{ row_hash(columns) }} as key_hash
            from {{ model }}
            group by key_hash
            having count(*) > 1 or count(case when {{ is_incomplete }} then 1 end) > 0
        ) as suspected
    )
    group by {{ columns | join(', ') }}
    having count(*) > 1 or {{ is_incomplete }}
    {%- endif -%}
{%- endmacro %}

{#- Every row whose key columns, null included, have no row in the parent. -#}
{% macro fails_foreign_key(model, columns, to) -%}
    select child.*
    from {{ model }} as child
    left join {{ to }} as parent
        on
            {% for column in columns -%}
            child.{{ column }} = parent.{{ column }}{{ ' and ' if not loop.last }}
            {%- endfor %}
    where parent.{{ columns[0] }} is null
{%- endmacro %}

{#- Every row for which the expression is not true; null is not true. -#}
{% macro fails_holds(model, expression) -%}
    select *
    from {{ model }}
    where ({{ expression }}) is not true
{%- endmacro %}

{#-
  One row where an aggregate of this model differs from an aggregate of another relation, or of its
  rows under a condition: what goes in comes out. Money is compared to the cent. Where an attribution
  model is named that is not computed, nothing goes in.
-#}
{% macro fails_same_total(
    model, expression, to, to_expression, to_condition='true', attribution_model=none
) -%}
    select *
    from (
        select
            (select {{ expression }} from {{ model }}) as total,
            (
                select {{ to_expression }}
                from {{ to }}
                where
                    {{ to_condition }}
                    {%- if attribution_model %} and {{ is_computed(attribution_model) }}{% endif %}
            ) as expected
    ) as totals
    where ({{ is_same_money('total', 'expected') }}) is not true
{%- endmacro %}

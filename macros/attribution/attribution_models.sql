{#- Which model computes the credits of which attribution models: one column per attribution model. -#}
{% macro credit_tables() %}
    {{ return({
        'int_rule_based_credits': [
            'first_touch', 'last_touch', 'last_non_direct_touch', 'linear', 'time_decay',
            'position_based'
        ],
        'int_ihc_credits': ['ihc'],
        'int_channel_weighted_credits': ['markov', 'shapley']
    }) }}
{% endmacro %}

{#- Models with channel totals of their own; every other model's totals are the sums of its credits. -#}
{% macro channel_total_models() %}
    {{ return(['markov', 'shapley']) }}
{% endmacro %}

{% macro attribution_models() %}
    {{ return(credit_tables().values() | sum(start=[])) }}
{% endmacro %}

{#- Names as a list of SQL texts, to stand between parentheses after `in`. -#}
{% macro quoted_list(names) -%}
    '{{ names | join("', '") }}'
{%- endmacro %}

{#- One column per attribution model with the sum of a measure under that model. -#}
{% macro pivoted_by_model(measure) -%}
    {%- for model in attribution_models() -%}
        sum(case when attribution_model = '{{ model }}' then {{ measure }} end) as {{ model }}
        {%- if not loop.last %},
        {% endif -%}
    {%- endfor -%}
{%- endmacro %}

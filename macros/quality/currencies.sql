{#-
  No event is worth as much, in any currency: 10 to the 15. Sums of what is less fit into the decimals of
  marts, and the products of currency rates too.
-#}
{% macro implausible_amount() -%}
    1000000000000000
{%- endmacro %}

{#-
  The rows of a model with an amount as delivered, original_<amount>, and in the reporting currency at
  the rate of its day, reported_<amount>; and whether either is implausible, in which case it is not
  converted. A row without a currency is in the reporting one. Without the setting nothing is converted.
  Ten decimals, half away from zero: as much as money has here.
-#}
{% macro with_reported_amount(model_name, amount, day) -%}
    {%- set delivered, rates = ref(model_name), ref('int_currency_rates') -%}
    {%- if not reporting_currency() -%}
    select
        *,
        {{ amount }} as original_{{ amount }},
        currency as original_currency,
        {{ amount }} as reported_{{ amount }},
        currency as reported_currency,
        abs({{ amount }}) >= {{ implausible_amount() }} as is_implausible_amount
    from {{ delivered }}
    {%- else -%}
    {%- set rate -%}
        case
                when
                    delivered.{{ amount }} = 0
                    or delivered.currency is null
                    or delivered.currency = '{{ reporting_currency() }}'
                    then 1
                else rates.rate
            end
    {%- endset %}
    {%- set is_implausible -%}
        cast(abs(delivered.{{ amount }}) as double) * greatest(1, {{ rate }}) >= {{ implausible_amount() }}
    {%- endset %}
    select
        delivered.*,
        delivered.{{ amount }} as original_{{ amount }},
        delivered.currency as original_currency,
        case
            when not ({{ is_implausible }})
                then cast(round(delivered.{{ amount }} * {{ rate }}, 10) as decimal(28, 10))
        end as reported_{{ amount }},
        '{{ reporting_currency() }}' as reported_currency,
        {{ is_implausible }} as is_implausible_amount
    from {{ delivered }} as delivered
    left join {{ rates }} as rates
        on
            delivered.currency = rates.currency
            and cast(delivered.{{ day }} as date) >= rates.valid_from
            and (cast(delivered.{{ day }} as date) < rates.valid_until or rates.valid_until is null)
    {%- endif -%}
{%- endmacro %}

{#- Stops the build where a usable amount has no rate, and says which row of the seed is missing. -#}
{% macro check_currency_rates(entity, day) %}
    {% set checked = ref('int_' ~ entity ~ '_checked') %}
    {#- The relations of a unit test are in no schema. -#}
    {% if execute and reporting_currency() and checked.schema and load_relation(checked) is not none %}
        {% set amount = entities()[entity].amount %}
        {% for row in run_query(
            "select source, left(original_currency, 20), count(*), min(cast(" ~ day ~ " as date)),"
            ~ " max(cast(" ~ day ~ " as date)) from " ~ checked ~ " where rejection_reason is null and "
            ~ amount ~ " is null group by 1, 2 order by 3 desc, 1, 2 limit 1"
        ) %}
            {{ exceptions.raise_compiler_error(
                "Source " ~ row[0] ~ ": " ~ row[2] ~ " rows of " ~ entity ~ " are in " ~ row[1]
                ~ ", from " ~ row[3] ~ " to " ~ row[4] ~ ", and have no rate to "
                ~ reporting_currency() ~ ". Add a row to seeds/currency_rates.csv: " ~ row[1] ~ ","
                ~ row[3] ~ ",<what 1 " ~ row[1] ~ " was worth in " ~ reporting_currency() ~ ">."
            ) }}
        {% endfor %}
    {% endif %}
{% endmacro %}

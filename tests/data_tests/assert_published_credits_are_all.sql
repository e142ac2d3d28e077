-- fct_touchpoint_credits has every credit once, with the names of its conversion and touchpoint,
-- and what it is worth. It is a view: what it is made of is tested by assert_credits_add_up, and
-- here that the credits of every model go into it, and that its joins neither lose nor repeat any.
-- Those are by key. Models of one table have the same keys, so that one shows them for all; those
-- of the (baseline) are another table's.
{%- set enabled = [] %}
{%- set columns = ['attribution_model', 'is_enabled'] %}
{%- for row in seed_rows('attribution_models', columns) if row.is_enabled %}
{%- do enabled.append(row.attribution_model) %}
{%- endfor %}
{%- set shown = ['ensemble'] %}
{%- for models in credit_tables().values() %}
{%- set models = models | select('in', enabled) | list %}
{%- do shown.extend(models | select('in', baseline_models()) | list or models[:1]) %}
{%- endfor %}

with touchpoint_credits as (

    select * from {{ ref('int_touchpoint_credits') }}

),

published_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}
    where attribution_model in ({{ quoted_list(shown) }})

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}

),

credited as (

    select
        attribution_model,
        sum(credit) as credit
    from touchpoint_credits
    group by attribution_model

),

published as (

    select
        attribution_model,
        sum(credit) as credit,
        sum(credited_revenue) as credited_revenue,
        count(*) as credits,
        count(
            case
                when conversion_id is not null and touchpoint_id is not null and channel is not null
                    then 1
            end
        ) as named_credits
    from published_credits
    group by attribution_model

),

expected as (

    select
        attribution_model,
        sum(conversions) as credit,
        sum(revenue) as credited_revenue
    from daily_credits
    group by attribution_model

),

compared as (

    select
        expected.credit as expected_credit,
        expected.credited_revenue as expected_revenue,
        credited.credit as credit_of_models,
        published.credit,
        published.credited_revenue,
        published.credits,
        published.named_credits,
        coalesce(expected.attribution_model, credited.attribution_model) as attribution_model
    from expected
    full outer join credited
        on expected.attribution_model = credited.attribution_model
    left join published
        on expected.attribution_model = published.attribution_model

)

select *
from compared
where
    (
        abs(credit_of_models - expected_credit) < 1e-6 * (1 + expected_credit)
        and (
            attribution_model not in ({{ quoted_list(shown) }})
            or (
                credits = named_credits
                and abs(credit - expected_credit) < 1e-6 * (1 + expected_credit)
                and {{ is_same_money('credited_revenue', 'expected_revenue') }}
            )
        )
    ) is not true

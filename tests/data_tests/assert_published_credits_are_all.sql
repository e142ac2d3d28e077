-- fct_touchpoint_credits has every credit once, with the names of its conversion and touchpoint,
-- and what it is worth. It is a view: what it is made of is tested by assert_credits_add_up, and
-- here that its joins neither lose nor repeat anything. Models of one table have the same keys: one
-- of them shows it for all.
{%- set enabled = [] %}
{%- set columns = ['attribution_model', 'is_enabled'] %}
{%- for row in seed_rows('attribution_models', columns) if row.is_enabled %}
{%- do enabled.append(row.attribution_model) %}
{%- endfor %}
{%- set shown = ['ensemble'] %}
{%- for models in credit_tables().values() %}
{%- do shown.extend((models | select('in', enabled) | list)[:1]) %}
{%- endfor %}

with published_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}
    where attribution_model in ({{ quoted_list(shown) }})

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}
    where attribution_model in ({{ quoted_list(shown) }})

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

)

select
    published.*,
    expected.credit as expected_credit,
    expected.credited_revenue as expected_revenue
from published
full outer join expected
    on published.attribution_model = expected.attribution_model
where
    (
        published.credits = published.named_credits
        and abs(published.credit - expected.credit) < 1e-6 * (1 + expected.credit)
        and {{ is_same_money('published.credited_revenue', 'expected.credited_revenue') }}
    ) is not true

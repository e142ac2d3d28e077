-- fct_touchpoint_credits has every credit of every enabled model, each once, with the names of its
-- conversion and touchpoint, and what it is worth. It is a view: what it is made of is tested by
-- assert_credits_add_up, and here that its joins neither lose nor repeat anything.
with published_credits as (

    select * from {{ ref('fct_touchpoint_credits') }}

),

daily_credits as (

    select * from {{ ref('int_daily_credits') }}

),

published as (

    select
        coalesce(sum(credit), 0) as credit,
        coalesce(sum(credited_revenue), 0) as credited_revenue,
        count(*) as credits,
        count(
            case
                when conversion_id is not null and touchpoint_id is not null and channel is not null
                    then 1
            end
        ) as named_credits
    from published_credits

),

expected as (

    select
        coalesce(sum(conversions), 0) as credit,
        coalesce(sum(revenue), 0) as credited_revenue
    from daily_credits

)

select
    published.*,
    expected.credit as expected_credit,
    expected.credited_revenue as expected_revenue
from published
cross join expected
where
    (
        published.credits = published.named_credits
        and abs(published.credit - expected.credit) < 1e-6 * (1 + expected.credit)
        and {{ is_same_money('published.credited_revenue', 'expected.credited_revenue') }}
    ) is not true

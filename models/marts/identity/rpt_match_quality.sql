-- grain: one row per source, entity (call, form or user) and outcome: the rule by which it was
-- matched to a customer, or the reason why not. Counts are additive, and so are match_rate and
-- recall within an entity: shares of all its interactions and of all that could be matched.
with outcomes as (

    select * from {{ ref('int_match_outcomes') }}

),

counted as (

    select
        source,
        entity,
        outcome,
        is_matched,
        count(*) as interactions,
        count(case when is_matched then 1 end) as matches,
        count(is_right) as judged,
        count(case when is_matchable then 1 end) as matchable,
        count(case when is_right then 1 end) as matched_right,
        count(case when is_matchable and is_right then 1 end) as matchable_matched_right
    from outcomes
    group by source, entity, outcome, is_matched

),

totals as (

    select
        *,
        sum(interactions) over (partition by source, entity) as all_interactions,
        sum(judged) over (partition by source, entity) as all_judged,
        sum(matchable) over (partition by source, entity) as all_matchable
    from counted

),

final as (

    select
        source,
        entity,
        outcome,
        is_matched,
        interactions,
        cast(matches as double) / all_interactions as match_rate,
        case when all_judged > 0 then matchable end as matchable,
        case when all_judged > 0 then matched_right end as matched_right,
        case
            when is_matched then cast(matched_right as double) / nullif(judged, 0)
        end as precision,
        cast(matchable_matched_right as double) / nullif(all_matchable, 0) as recall
    from totals

)

select * from final

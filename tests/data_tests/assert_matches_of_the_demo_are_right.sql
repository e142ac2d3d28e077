-- Per simulated source: 99.5 % of the matches are right, and 95 % of what could be matched is. Real
-- data have no truth, and no rows here.
with outcomes as (

    select * from {{ ref('int_match_outcomes') }}
    where is_right is not null

),

shares as (

    select
        source,
        avg(case when is_matched then cast(is_right as integer) end) as match_precision,
        avg(case when is_matchable then cast(is_right as integer) end) as match_recall
    from outcomes
    group by source

)

select *
from shares
where (match_precision >= 0.995 and match_recall >= 0.95) is not true

-- grain: one row per conversion and touchpoint, and one per conversion with the key of the baseline
-- where a member has a baseline. ensemble adds up to 1 per conversion.
with member_credits as (

    select * from {{ ref('int_member_credits') }}
    where {{ is_computed('ensemble') }} and {{ is_member_of_ensemble('attribution_model') }}

),

members as (

    {{ ensemble_members() }}

),

aggregated as (

    select
        member_credits.conversion_key,
        member_credits.touchpoint_key,
        sum(members.weight * member_credits.credit) as ensemble,
        case when count(*) < max(members.member_count) then 0 else min(member_credits.credit) end
            as lowest_credit,
        max(member_credits.credit) as highest_credit
    from member_credits
    inner join members
        on member_credits.attribution_model = members.attribution_model
    group by
        member_credits.conversion_key, member_credits.touchpoint_key

),

final as (

    -- Members agree where the lowest credit of any is the highest; a member without a baseline
    -- credits it with 0.
    select
        conversion_key,
        touchpoint_key,
        ensemble,
        coalesce(lowest_credit / nullif(highest_credit, 0), 1) as agreement
    from aggregated

)

select * from final

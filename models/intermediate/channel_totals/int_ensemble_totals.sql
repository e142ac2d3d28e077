-- grain: one row per conversion type and channel that a member of the ensemble credits, (baseline)
-- among them. conversions and revenue are additive; errors and confidence are not.
with model_totals as (

    select * from {{ ref('int_model_totals') }}
    where {{ is_computed('ensemble') }}

),

members as (

    {{ ensemble_members() }}

),

weighed as (

    select
        model_totals.conversion_type,
        model_totals.channel,
        members.weight,
        members.member_count,
        model_totals.std_error,
        model_totals.conversions,
        model_totals.revenue,
        sum(members.weight * model_totals.conversions) over (
            partition by model_totals.conversion_type, model_totals.channel
        ) as mean_conversions
    from model_totals
    inner join members
        on model_totals.attribution_model = members.attribution_model

),

aggregated as (

    -- A member that does not know the channel credits it with nothing.
    select
        conversion_type,
        channel,
        case when count(*) < max(member_count) then 0 else min(conversions) end
            as lowest_conversions,
        max(mean_conversions) as conversions,
        sum(weight * revenue) as revenue,
        max(conversions) as highest_conversions,
        sqrt(
            power(sum(weight * std_error), 2)
            + sum(weight * power(conversions - mean_conversions, 2))
            + (1 - sum(weight)) * power(max(mean_conversions), 2)
        ) as std_error
    from weighed
    group by conversion_type, channel

),

final as (

    select
        conversion_type,
        channel,
        std_error,
        conversions,
        revenue,
        {{ or_nothing('conversions - 1.96 * std_error') }} as conversions_low,
        {{ or_nothing('conversions + 1.96 * std_error') }} as conversions_high,
        coalesce(lowest_conversions / nullif(highest_conversions, 0), 1) as agreement,
        greatest(coalesce(1 - 1.96 * std_error / nullif(conversions, 0), 0), 0)
            as interval_precision
    from aggregated

)

select * from final

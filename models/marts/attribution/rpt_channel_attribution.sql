-- grain: one row per attribution model, conversion type and channel. conversions and revenue are
-- additive within one model and, with the (baseline) and (unattributed) rows, add up to all
-- conversions; errors and confidence are not additive. Every channel has its row, also where a
-- model credits it with nothing.
with enabled_models as (

    select * from {{ ref('attribution_models') }}
    where is_enabled

),

model_totals as (

    select * from {{ ref('int_model_totals') }}

),

ensemble_totals as (

    select * from {{ ref('int_ensemble_totals') }}

),

conversions as (

    select * from {{ ref('fct_conversions') }}

),

channels as (

    select * from {{ ref('dim_channels') }}

),

conversion_types as (

    select distinct conversion_type
    from conversions

),

unattributed as (

    select
        enabled_models.attribution_model,
        conversions.conversion_type,
        cast(count(*) as double) as conversions,
        cast(sum(conversions.revenue) as double) as revenue
    from conversions
    cross join enabled_models
    where not conversions.is_attributed
    group by enabled_models.attribution_model, conversions.conversion_type

),

measured as (

    select
        attribution_model,
        conversion_type,
        channel,
        std_error,
        conversions_low,
        conversions_high,
        conversions,
        revenue,
        null as confidence
    from model_totals
    union all
    select
        'ensemble' as attribution_model,
        conversion_type,
        channel,
        std_error,
        conversions_low,
        conversions_high,
        conversions,
        revenue,
        agreement * interval_precision as confidence
    from ensemble_totals
    union all
    select
        attribution_model,
        conversion_type,
        '(unattributed)' as channel,
        null as std_error,
        null as conversions_low,
        null as conversions_high,
        conversions,
        revenue,
        null as confidence
    from unattributed

),

complete as (

    select
        enabled_models.attribution_model,
        conversion_types.conversion_type,
        channels.channel,
        measured.confidence,
        -- What is 0 by construction, as direct visits are in a hazard, has no error nor interval.
        nullif(measured.std_error, 0) as std_error,
        case when measured.std_error != 0 then measured.conversions_low end as conversions_low,
        case when measured.std_error != 0 then measured.conversions_high end as conversions_high,
        coalesce(measured.conversions, 0) as conversions,
        coalesce(measured.revenue, 0) as revenue,
        case when channels.channel = '(unattributed)' then 0 else measured.conversions end
            as attributed_conversions,
        case
            when channels.channel in ('(unattributed)', '(baseline)') then 0
            else measured.conversions
        end as touched_conversions
    from enabled_models
    cross join conversion_types
    cross join channels
    left join measured
        on
            enabled_models.attribution_model = measured.attribution_model
            and conversion_types.conversion_type = measured.conversion_type
            and channels.channel = measured.channel

),

final as (

    select
        attribution_model,
        conversion_type,
        channel,
        std_error,
        conversions_low,
        conversions_high,
        conversions,
        revenue,
        {% for share, part in {
            'share': 'attributed_conversions', 'share_without_baseline': 'touched_conversions'
        }.items() %}
        coalesce(
            {{ part }} / nullif(
                sum({{ part }}) over (partition by attribution_model, conversion_type), 0
            ),
            0
        ) as {{ share }},
        {% endfor %}
        cast(confidence as double) as confidence
    from complete

)

select * from final

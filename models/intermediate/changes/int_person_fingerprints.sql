-- grain: one row per person with a touchpoint or a conversion by the end of the
-- reporting period. fingerprint follows from all that models by person read of the person, and
-- from nothing else. Not additive.
{%- set definition = definition_of_persons() %}

with touchpoints as (

    select * from {{ ref('int_touchpoints') }}
    where {{ until_reporting_end('touched_at') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}
    where {{ until_reporting_end('converted_at') }}

),

channels as (

    select * from {{ ref('int_channels') }}

),

conversion_types as (

    select * from {{ ref('int_conversion_types') }}

),

service_credits as (

    select * from {{ ref('stg_ihc_service__credits') }}

),

hashed_channels as (

    select
        channel,
        {{ row_hash(["'touchpoint'", 'channel_key', 'channel', 'channel_group', 'is_paid']) }}
            as channel_hash
    from channels

),

facts as (

    select
        touchpoints.source,
        touchpoints.person_key,
        {{ row_hash([
            'hashed_channels.channel_hash', 'touchpoints.touchpoint_key',
            'touchpoints.holder_engagement', 'touchpoints.closer_engagement',
            'touchpoints.impression_interaction', 'touchpoints.touched_at'
        ]) }} as fact_hash
    from touchpoints
    inner join hashed_channels
        on touchpoints.channel = hashed_channels.channel
    union all
    select
        source,
        person_key,
        {{ row_hash([
            "'conversion'", 'conversion_id', 'conversion_type', 'is_once_only', 'revenue_center',
            'revenue', 'converted_at'
        ]) }} as fact_hash
    from conversions
    union all
    select
        conversions.source,
        conversions.person_key,
        {{ row_hash([
            "'answer'", 'service_credits.conversion_id', 'service_credits.touchpoint_id',
            'service_credits.initializer', 'service_credits.holder', 'service_credits.closer',
            'service_credits.ihc'
        ]) }} as fact_hash
    from service_credits
    inner join conversions
        on
            service_credits.source = conversions.source
            and service_credits.conversion_id = conversions.conversion_id

),

persons as (

    select
        source,
        person_key,
        count(*) as facts,
        sum(fact_hash) as facts_hash
    from facts
    group by source, person_key

),

reachable as (

    -- Open journeys are open towards every conversion type of their source.
    select
        source,
        {{ sorted_set('conversion_type') }} as conversion_types
    from conversion_types
    group by source

),

final as (

    select
        persons.person_key,
        {{ row_hash([
            "'" ~ definition ~ "'", 'reachable.conversion_types', 'persons.facts',
            'persons.facts_hash'
        ]) }} as fingerprint
    from persons
    left join reachable
        on persons.source = reachable.source

)

select * from final

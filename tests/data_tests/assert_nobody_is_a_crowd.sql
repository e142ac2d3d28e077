-- Persons with so many touchpoints in journeys that they are hardly persons: every conversion of
-- theirs credits all the touches before it.
{{ config(severity='warn', meta={'tells': 'person_id'}) }}

with journey_touchpoints as (

    select * from {{ ref('int_journey_touchpoints') }}

),

crowds as (

    select
        person_key,
        count(*) as journey_touchpoints
    from journey_touchpoints
    group by person_key
    having count(*) > 100000

),

persons as (

    select distinct
        person_key,
        person_id
    from {{ ref('int_conversions') }}

),

final as (

    select
        persons.person_id,
        crowds.journey_touchpoints
    from crowds
    left join persons
        on crowds.person_key = persons.person_key

)

select * from final

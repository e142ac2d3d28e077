-- Two persons that share a person_key would be taken for one.
with persons as (

    select * from {{ ref('dim_persons') }}

),

keyed as (

    select {{ row_key('source', 'person_id') }} as person_key
    from persons

),

final as (

    select
        person_key,
        count(*) as persons
    from keyed
    group by person_key
    having count(*) > 1

)

select * from final

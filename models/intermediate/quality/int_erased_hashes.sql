-- grain: one row per id or contact of an erased person, as a keyed hash.
{{ config(materialized='view', schema='restricted') }}

{% if erased_persons_file() %}
with listed as (

    select * from read_csv({{ sql_text(erased_persons_file()) }}, header = true, all_varchar = true)

),

erased_persons as (

    select
        kind,
        key_hash
    from listed
    union all
    -- A list of nobody was cut off. No list has this checksum, so that the build stops.
    select
        'checksum' as kind,
        '' as key_hash
    where not exists (select 1 from listed)

),
{% else %}
with erased_persons as (

    select
        cast(null as varchar) as kind,
        cast(null as varchar) as key_hash
    where false

),
{% endif %}

final as (

    select
        kind,
        key_hash
    from erased_persons

)

select * from final

-- grain: one row per person who is not as the last build that ended well has left them: new,
-- changed or gone.
{{ config(post_hook="{{ forget_changed_persons() }}") }}

with fingerprints as (

    select * from {{ ref('int_person_fingerprints') }}

),

person_states as (

    {{ last_person_states() }}

),

final as (

    select coalesce(fingerprints.person_key, person_states.person_key) as person_key
    from fingerprints
    full outer join person_states
        on fingerprints.person_key = person_states.person_key
    -- Who is gone has no fingerprint, and who was begun and not ended has none in the states.
    where
        fingerprints.fingerprint is null
        or person_states.fingerprint is null
        or fingerprints.fingerprint != person_states.fingerprint

)

select * from final

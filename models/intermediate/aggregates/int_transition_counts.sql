-- grain: one row per day of the path's end, conversion type, person group, from-states and to-
-- state. from_states are the last channels before the step, oldest first: as many as the longest
-- order of the Markov model, fewer near the start. transitions and revenue are additive; revenue is
-- carried by the step into (conversion) alone.
{%- set earlier_states = ['state_4', 'state_3', 'state_2', 'state_1'][5 - markov_max_order():] %}
{%- set states = earlier_states + ['state_0'] %}

with paths as (

    select * from {{ ref('int_paths') }}
    {%- if not include_open_journeys() %}
    where is_converted
    {%- endif %}

),

placed as (

    select
        path_end_date,
        conversion_type,
        person_group,
        is_converted,
        channels,
        revenue,
        {{ each_of_list(places_of_list('channels')) }} as place
    from paths

),

steps as (

    select
        path_end_date,
        conversion_type,
        person_group,
        revenue,
        {%- for state in earlier_states %}
        case
            when place > {{ loop.revindex }}
                then {{ value_of_list('channels', 'place - ' ~ loop.revindex) }}
        end as {{ state }},
        {%- endfor %}
        {{ value_of_list('channels', 'place') }} as state_0,
        coalesce(
            {{ value_of_list('channels', 'place + 1') }},
            case when is_converted then '(conversion)' else '(null)' end
        ) as to_state
    from placed
    union all
    select
        path_end_date,
        conversion_type,
        person_group,
        revenue,
        {%- for state in earlier_states %}
        null as {{ state }},
        {%- endfor %}
        '(start)' as state_0,
        {{ value_of_list('channels', 1) }} as to_state
    from paths

),

counted as (

    select
        path_end_date,
        conversion_type,
        person_group,
        {{ states | join(', ') }},
        to_state,
        count(*) as transitions,
        sum(case when to_state = '(conversion)' then revenue else 0 end) as revenue
    from steps
    group by path_end_date, conversion_type, person_group, {{ states | join(', ') }}, to_state

),

final as (

    select
        path_end_date,
        conversion_type,
        person_group,
        {{ list_of_known(states) }} as from_states,
        to_state,
        cast(transitions as bigint) as transitions,
        cast(revenue as decimal(38, 10)) as revenue
    from counted

)

select * from final

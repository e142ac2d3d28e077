-- grain: one row per conversion type, person group, from-states and to-state. from_states are the
-- last channels before the step, oldest first: as many as the longest order of the Markov model,
-- fewer near the start. transitions and revenue are additive; revenue is carried by the step into
-- (conversion) alone.
{%- set earlier_states = ['state_4', 'state_3', 'state_2', 'state_1'][5 - markov_max_order():] %}
{%- set states = earlier_states + ['state_0'] %}
{#- Channels are their keys, from 1; the other states are numbers that no channel has. -#}
{%- set at_start, at_conversion, at_null = 0, -1, -2 %}

with paths as (

    select * from {{ ref('int_paths') }}
    where {{ is_computed('markov', 'markov_shapley') }}
    {%- if not include_open_journeys() %} and is_converted{% endif %}

),

names as (

    select * from {{ ref('int_channel_names') }}

),

placed as (

    select
        conversion_type,
        person_group,
        is_converted,
        channel_keys,
        {{ each_of_list(places_of_list('channel_keys')) }} as place
    from paths

),

steps as (

    select
        conversion_type,
        person_group,
        {%- for state in earlier_states %}
        case
            when place > {{ loop.revindex }}
                then {{ value_of_list('channel_keys', 'place - ' ~ loop.revindex) }}
        end as {{ state }},
        {%- endfor %}
        {{ value_of_list('channel_keys', 'place') }} as state_0,
        coalesce({{ value_of_list('channel_keys', 'place + 1') }}, {{ at_null }}) as to_state
    from placed
    -- The step into (conversion) is counted on its own.
    where not is_converted or place < {{ length_of_list('channel_keys') }}
    union all
    select
        conversion_type,
        person_group,
        {%- for state in earlier_states %}
        null as {{ state }},
        {%- endfor %}
        {{ at_start }} as state_0,
        {{ value_of_list('channel_keys', 1) }} as to_state
    from paths

),

conversions as (

    select
        conversion_type,
        person_group,
        revenue,
        {%- for state in earlier_states %}
        case
            when {{ length_of_list('channel_keys') }} > {{ loop.revindex }}
                then {{ value_of_list(
                    'channel_keys', length_of_list('channel_keys') ~ ' - ' ~ loop.revindex
                ) }}
        end as {{ state }},
        {%- endfor %}
        {{ value_of_list('channel_keys', length_of_list('channel_keys')) }} as state_0
    from paths
    where is_converted

),

counted as (

    -- Revenue is carried by few of the steps, and adding it up costs more than counting them.
    select
        conversion_type,
        person_group,
        {{ states | join(', ') }},
        to_state,
        count(*) as transitions,
        0 as revenue
    from steps
    group by conversion_type, person_group, {{ states | join(', ') }}, to_state
    union all
    select
        conversion_type,
        person_group,
        {{ states | join(', ') }},
        {{ at_conversion }} as to_state,
        count(*) as transitions,
        sum(revenue) as revenue
    from conversions
    group by conversion_type, person_group, {{ states | join(', ') }}

),

named as (

    select
        counted.conversion_type,
        counted.person_group,
        {%- for state in states %}
        case
            when counted.{{ state }} = {{ at_start }} then '(start)'
            else {{ value_of_list('names.channel_names', 'counted.' ~ state) }}
        end as {{ state }},
        {%- endfor %}
        case counted.to_state
            when {{ at_conversion }} then '(conversion)'
            when {{ at_null }} then '(null)'
            else {{ value_of_list('names.channel_names', 'counted.to_state') }}
        end as to_state,
        counted.transitions,
        counted.revenue
    from counted
    cross join names

),

final as (

    select
        conversion_type,
        person_group,
        {{ list_of_known(states) }} as from_states,
        to_state,
        cast(transitions as bigint) as transitions,
        cast(revenue as decimal(38, 10)) as revenue
    from named

)

select * from final

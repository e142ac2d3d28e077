-- grain: one row per day of the path's end, conversion type, person group, from-states and to-
-- state. from_states are the last channels before the step, oldest first: as many as the longest
-- order of the Markov model, fewer near the start. transitions and revenue are additive; revenue is
-- carried by the step into (conversion) alone.
{%- set earlier_states = ['state_4', 'state_3', 'state_2', 'state_1'][5 - markov_max_order():] %}
{%- set states = earlier_states + ['state_0'] %}

with path_touchpoints as (

    select * from {{ ref('int_path_touchpoints') }}
    {%- if not include_open_journeys() %}
    where is_converted
    {%- endif %}

),

journey_windows as (

    select * from {{ ref('int_journey_windows') }}

),

steps as (

    select
        source,
        path_id,
        conversion_type,
        person_group,
        touch_number,
        channel as state_0,
        cast(path_ended_at as date) as path_end_date,
        {%- for state in earlier_states %}
        lag(channel, {{ loop.revindex }}) over path as {{ state }},
        {%- endfor %}
        lead(channel, 1, case when is_converted then '(conversion)' else '(null)' end)
            over path as to_state
    from path_touchpoints
    window path as (
        partition by source, conversion_type, is_converted, path_id
        order by touch_number
    )

),

counted as (

    select
        path_end_date,
        conversion_type,
        person_group,
        {{ states | join(', ') }},
        to_state,
        0 as revenue,
        count(*) as transitions
    from steps
    where to_state != '(conversion)'
    group by path_end_date, conversion_type, person_group, {{ states | join(', ') }}, to_state
    union all
    select
        steps.path_end_date,
        steps.conversion_type,
        steps.person_group,
        {{ states | join(', ') }},
        steps.to_state,
        sum(journey_windows.revenue) as revenue,
        count(*) as transitions
    from steps
    inner join journey_windows
        on
            steps.source = journey_windows.source
            and steps.path_id = journey_windows.conversion_id
    where steps.to_state = '(conversion)'
    group by
        steps.path_end_date,
        steps.conversion_type,
        steps.person_group,
        {{ states | join(', ') }},
        steps.to_state
    union all
    select
        path_end_date,
        conversion_type,
        person_group,
        {%- for state in earlier_states %}
        null as {{ state }},
        {%- endfor %}
        '(start)' as state_0,
        state_0 as to_state,
        0 as revenue,
        count(*) as transitions
    from steps
    where touch_number = 1
    group by path_end_date, conversion_type, person_group, steps.state_0

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

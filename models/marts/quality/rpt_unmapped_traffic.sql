-- grain: one row per way of coming that has no channel. touchpoints is additive.
with touchpoints as (

    select * from {{ ref('int_touchpoints') }}

),

touchpoints_unioned as (

    select * from {{ ref('int_touchpoints_unioned') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

traffic_channels as (

    select * from {{ ref('int_traffic_channels') }}

),

unmapped_referrals as (

    select
        customers.traffic,
        customers.created_at
    from customers
    inner join traffic_channels
        on
            customers.source = traffic_channels.source
            and customers.traffic = traffic_channels.traffic
    where traffic_channels.channel is null

),

without_channel as (

    select
        source,
        traffic,
        touchpoint_type,
        touched_at
    from touchpoints_unioned
    where channel is null or channel = '(unknown)'

),

unmapped as (

    select
        without_channel.traffic,
        without_channel.touchpoint_type,
        without_channel.touched_at
    from without_channel
    left join traffic_channels
        on
            without_channel.source = traffic_channels.source
            and without_channel.traffic = traffic_channels.traffic
    where coalesce(traffic_channels.channel, '(unknown)') = '(unknown)'
    union all
    select
        traffic,
        'referral' as touchpoint_type,
        created_at as touched_at
    from unmapped_referrals

),

totals as (

    select
        (select count(*) from touchpoints)
        + (select count(*) from unmapped_referrals) as touchpoints

),

counted as (

    select
        traffic,
        touchpoint_type,
        count(*) as touchpoints,
        min(touched_at) as first_seen_at,
        max(touched_at) as last_seen_at
    from unmapped
    group by traffic, touchpoint_type

),

{% set told = traffic_columns() | reject('equalto', 'touchpoint_type') | list %}
told as (

    select
        touchpoint_type,
        {% for column in told %}
        {{ json_text('traffic', column) }} as {{ column }},
        {% endfor %}
        touchpoints,
        first_seen_at,
        last_seen_at
    from counted

),

-- Rows to add have the free priorities in this order: rules for click ids among their own, then the
-- rules that ask for most.
numbered as (

    select
        *,
        click_id is not null as has_click_id,
        0
        {%- for column in told %}
        + case when {{ column }} is null then 0 else 1 end
        {%- endfor %} as value_count,
        row_number() over (
            partition by click_id is not null
            order by value_count desc, touchpoints desc, {{ told | join(', ') }}, touchpoint_type
        ) as place
    from told

),

prioritized as (

    select
        *,
        {{ free_rule_priority('has_click_id', 'place') }} as free_priority
    from numbered

),

final as (

    select
        prioritized.touchpoint_type,
        {% for column in told %}
        prioritized.{{ column }},
        {% endfor %}
        prioritized.touchpoints,
        cast(prioritized.touchpoints as double) / totals.touchpoints as share_of_touchpoints,
        prioritized.first_seen_at,
        prioritized.last_seen_at,
        case
            when prioritized.value_count > 0 and prioritized.free_priority is not null
                then concat_ws(
                    ',',
                    prioritized.free_priority,
                    {% for column in told %}
                    {{ csv_value(pattern_of('prioritized.' ~ column)) }},
                    {% endfor %}
                    '', '(unknown)', ''
                )
        end as row_to_add
    from prioritized
    cross join totals
    order by prioritized.touchpoints desc, prioritized.free_priority asc

)

select * from final

-- grain: one row per source and distinct traffic of touchpoints without a channel of their own; the
-- channel that the seeds give it, null where no rule applies.
with sessions as (

    select * from {{ ref('int_sessions_checked') }}

),

calls as (

    select * from {{ ref('int_calls') }}

),

identity_links as (

    select * from {{ ref('int_identity_links') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

referral_sources as (

    select * from {{ ref('referral_sources') }}

),

-- Each way of coming is looked at once, however many touchpoints share it. Sessions are read before
-- their ids are made unique: that is cheaper, and a traffic that no touchpoint has harms nobody.
-- Whether there is any is asked of the groups: of every row it would be worked out several times.
session_traffic as (

    select
        source,
        traffic
    from sessions
    where
        channel is null
        and rejection_reason is null
    group by source, traffic
    having count(traffic) > 0

),

distinct_traffic as (

    select
        source,
        traffic
    from session_traffic
    union
    select
        source,
        traffic
    from calls
    where traffic is not null
    union
    select
        source,
        traffic
    from identity_links
    where
        kind = 'form'
        and traffic is not null
    union
    select
        source,
        traffic
    from customers
    where traffic is not null

),

told as (

    select
        source,
        traffic,
        {{ traffic_texts('traffic') }}
    from distinct_traffic

),

{% set rules = channel_rules() %}
ruled as (

    select
        *,
        {% if rules %}
        case
            {% for rule in rules %}
            when
                {{ channel_rule_condition(rule) }}
                then {{ rule.priority }}
            {% endfor %}
        end as rule_priority
        {% else %}
        cast(null as integer) as rule_priority
        {% endif %}
    from told

),

-- A row for the one source wins over a row for all.
referred as (

    select
        ruled.*,
        coalesce(of_source.channel, of_all.channel) as referral_channel
    from ruled
    left join referral_sources as of_source
        on
            lower(trim(of_source.referral_source_id)) = ruled.referral_source_id
            and lower(trim(of_source.source)) = ruled.source
    left join referral_sources as of_all
        on
            lower(trim(of_all.referral_source_id)) = ruled.referral_source_id
            and nullif(trim(of_all.source), '') is null

),

-- Who lists an id knows what it stands for: it decides before the rules.
final as (

    select
        source,
        traffic,
        {% for column in traffic_columns() %}
        nullif({{ column }}, '') as {{ column }},
        {% endfor %}
        case when referral_channel is null then rule_priority end as rule_priority,
        {% if rules %}
        trim(coalesce(
            referral_channel,
            case rule_priority
                {% for rule in rules %}
                when {{ rule.priority }} then {{ sql_text(rule.channel) }}
                {% endfor %}
            end
        )) as channel
        {% else %}
        trim(referral_channel) as channel
        {% endif %}
    from referred

)

select * from final

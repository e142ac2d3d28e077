{#-
  Rules of the seeds channel_rules and referral_sources, read when the models that use them are
  compiled, after the seeds are loaded. A row that cannot be used stops the build and is named.
-#}

{#- The rules by priority as dictionaries: priority, channel and the patterns that the rule has. -#}
{% macro channel_rules() %}
    {% set rules = {} %}
    {% do check_channel_rules() %}
    {% for row in seed_rows('channel_rules', ['priority', 'channel'] + traffic_columns()) %}
        {% set rule = {} %}
        {% for column, value in row.items() if value is not none and value | string | trim %}
            {% do rule.update({column: value | string | trim}) %}
        {% endfor %}
        {% do rules.update({rule.priority | int: rule}) %}
    {% endfor %}
    {{ return(rules | dictsort | map(attribute=1) | list) }}
{% endmacro %}

{#- The condition under which a rule applies, over columns in which nothing is an empty text. -#}
{% macro channel_rule_condition(rule) -%}
    {%- set conditions = [] -%}
    {%- for column in traffic_columns() if column in rule -%}
        {%- do conditions.append(
            word_matches_pattern(column, rule[column]) if column == 'click_id'
            else matches_pattern(column, rule[column])
        ) -%}
    {%- endfor -%}
    {#- A customer has a touchpoint for a referral only where somebody says what the id stands for. -#}
    {%- if 'referral_source_id' not in rule -%}
        {%- do conditions.append("touchpoint_type != 'referral'") -%}
    {%- endif -%}
    {{ conditions | join('\n                and ') }}
{%- endmacro %}

{#- Query of what is wrong with the seeds' rows: seed, row_number for the order, row_name, problem. -#}
{% macro channel_rule_problems() %}
with rules as (

    select
        {% for column in ['priority', 'channel'] + traffic_columns() %}
        nullif(trim(cast({{ column }} as varchar)), '') as {{ column }},
        {% endfor %}
        case
            when regexp_full_match(trim(cast(priority as varchar)), '[0-9]{1,9}') then try_cast(priority as bigint)
        end as rule_number
    from {{ ref('channel_rules') }}

),

channels as (

    select distinct lower(trim(channel)) as channel from {{ ref('channel_groups') }}

),

patterns as (

    select
        *,
        {#- Letters behind a backslash mean other things in the other case. -#}
        concat_ws(
            chr(31)
            {%- for column in traffic_columns() %},
            case when contains({{ column }}, chr(92)) then {{ column }} else lower(coalesce({{ column }}, '')) end
            {%- endfor %}
        ) as all_patterns,
        coalesce({{ traffic_columns() | join(', ') }}) is not null as has_pattern,
        coalesce(not try(regexp_full_match('', click_id)), false) as needs_click_id,
        not needs_click_id and coalesce(traffic_source, medium, campaign) is not null as asks_for_tags
    from rules

),

compared as (

    select
        *,
        count(*) over (partition by rule_number) as same_priority,
        max(rule_number) over () as last_priority,
        min(case when asks_for_tags then rule_number end) over () as first_tag_priority,
        max(case when needs_click_id then rule_number end) over () as last_click_priority,
        min(rule_number) over (partition by all_patterns) as first_same_priority
    from patterns

),

misplaced as (

    -- Of rules for click ids and for tags in each other's place, the fewer are in the wrong one.
    select
        *,
        count(case when needs_click_id and rule_number > first_tag_priority then 1 end) over ()
            <= count(case when asks_for_tags and rule_number < last_click_priority then 1 end) over ()
            as are_click_ids_misplaced
    from compared

),

rule_problems as (

    select
        'channel_rules' as seed,
        rule_number,
        concat('priority ', coalesce(priority, '(none)'), ', channel ', coalesce(misplaced.channel, '(none)')) as row_name,
        case
            when rule_number is null
                then 'its priority is no whole number. Allowed: a number from 0 to 999999999, lowest first, each once'
            when same_priority > 1
                then 'another rule has the same priority. Allowed: a number from 0 to 999999999, lowest first, each once'
            when misplaced.channel is null
                then 'it names no channel. Allowed: a channel that seeds/channel_groups.csv lists'
            when channels.channel is null
                then 'its channel is unknown. Allowed: a channel that seeds/channel_groups.csv lists; add a row there for a new one'
            {% for column in traffic_columns() %}
            when {{ column }} is not null and not {{ is_pattern(column) }}
                then concat('its {{ column }} is ''', left({{ column }}, 200), ''', which is no regular expression. Allowed: words with | between, . for any character, .* for any text, \. \( \) \| \+ \? \* for these characters themselves; no lookahead and no back reference')
            {% endfor %}
            when not has_pattern and rule_number < last_priority
                then 'it has no pattern and matches everything, so that no rule after it ever applies. Allowed: at least one pattern, except in the last rule'
            when asks_for_tags and rule_number < last_click_priority and not are_click_ids_misplaced
                then concat('it asks for tags before the rule of priority ', last_click_priority, ', which asks for a click id. Allowed: a priority above ', last_click_priority, ', because click ids decide first')
            when needs_click_id and rule_number > first_tag_priority and are_click_ids_misplaced
                then concat('it asks for a click id after the rule of priority ', first_tag_priority, ', which asks for tags. Allowed: rules for click ids before those, because click ids decide first')
            when first_same_priority < rule_number
                then concat('it never applies, because the rule of priority ', first_same_priority, ' has the same patterns. Allowed: patterns that no other rule has')
        end as problem
    from misplaced
    left join channels
        on lower(misplaced.channel) = channels.channel

),

referrals as (

    select
        nullif(trim(source), '') as source,
        nullif(trim(referral_source_id), '') as referral_source_id,
        nullif(trim(channel), '') as channel
    from {{ ref('referral_sources') }}

),

referral_problems as (

    select
        'referral_sources' as seed,
        0 as rule_number,
        concat('referral_source_id ', coalesce(referral_source_id, '(none)'), ', channel ', coalesce(referrals.channel, '(none)')) as row_name,
        case
            when referral_source_id is null then 'it names no referral_source_id. Allowed: an id as the CRM or the call tracking gives it'
            when count(*) over (partition by lower(source), lower(referral_source_id)) > 1
                then 'another row has the same id. Allowed: each id once for each source, or once for all with the source empty'
            when channels.channel is null
                then 'its channel is unknown. Allowed: a channel that seeds/channel_groups.csv lists; add a row there for a new one'
        end as problem
    from referrals
    left join channels
        on lower(referrals.channel) = channels.channel

),

problems as (

    select * from rule_problems
    where problem is not null
    union all
    select * from referral_problems
    where problem is not null

)

select * from problems
{% endmacro %}

{#- Stops the build where rules cannot be used, and names them. -#}
{% macro check_channel_rules() %}
    {% set seeds = [ref('channel_rules'), ref('referral_sources'), ref('channel_groups')] %}
    {% if execute and load_relation(seeds[0]) is not none and load_relation(seeds[1]) is not none
        and load_relation(seeds[2]) is not none %}
        {% set problems = [] %}
        {% for row in run_query(
            channel_rule_problems() ~ ' order by seed, rule_number, row_name limit 50'
        ) %}
            {% do problems.append("Seed " ~ row[0] ~ ", " ~ row[2] ~ ": " ~ row[3] ~ ".") %}
        {% endfor %}
        {% if problems %}
            {{ exceptions.raise_compiler_error(
                "These rows of seeds cannot be used.\n" ~ problems | join("\n")
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}

{#-
  A priority that no rule has, for the rule at some place among new ones: after the last rule or, for
  rules that ask for a click id, after the last of those; null where no number is left there.
-#}
{% macro free_rule_priority(has_click_id, place) -%}
    {%- set rules = channel_rules() -%}
    {%- set tags = rules | selectattr('click_id', 'undefined') | list -%}
    {%- set first_tag = (tags | map(attribute='priority') | map('int') | list + [1000000000]) | min -%}
    {%- set clicks = [0] -%}
    {%- for rule in rules if 'click_id' in rule and rule.priority | int < first_tag -%}
        {%- do clicks.append(rule.priority | int) -%}
    {%- endfor -%}
    {%- set last = (rules | map(attribute='priority') | map('int') | list + [0]) | max -%}
    case
            when not {{ has_click_id }} then {{ last }} + {{ place }}
            when {{ clicks | max }} + {{ place }} < {{ first_tag }} then {{ clicks | max }} + {{ place }}
        end
{%- endmacro %}

{#- Whose rows may be kept: consent, erased persons and retention. See docs/privacy.md. -#}

{#- Of a row rejected for one of these, nothing is kept but its amount. -#}
{% macro reasons_that_keep_nothing() -%}
    ('erased_person', 'no_consent', 'beyond_retention')
{%- endmacro %}

{#- A column of the select list, empty where the row may not be kept. -#}
{% macro if_kept(column) -%}
    case
            when
                rejection_reason is null
                or rejection_reason not in {{ reasons_that_keep_nothing() }}
                then {{ column }}
        end as {{ column }}
{%- endmacro %}

{#- The columns of an entity that name a person, and what they are: a kind of entity or contact. -#}
{% macro person_keys(entity) %}
    {{ return({
        'sessions': {'user_id': 'user'},
        'conversions': {'user_id': 'user'},
        'calls': {'call_id': 'call', 'user_id': 'user', 'phone': 'phone', 'email': 'email'},
        'customers': {'customer_id': 'customer', 'phones': 'phone', 'emails': 'email'},
        'appointments': {'customer_id': 'customer'},
        'revenue': {'customer_id': 'customer'},
        'identity_links': {
            'link_id': 'form', 'user_id': 'user', 'customer_id': 'customer', 'phone': 'phone',
            'email': 'email'
        }
    }[entity]) }}
{% endmacro %}

{#-
  The reasons why rows of an entity may not be kept, as branches of a CASE. They come before all
  others, so that no such row is kept for another fault. `time` is that of the event, if the row is
  one; `consent` says whose consent the entity tells of: that of touches, or that of touches and
  logins, of which the latter cannot be made anonymous.
-#}
{% macro privacy_reasons(entity, time=none, consent=none) -%}
    {%- if not execute -%}
        {%- do ref('erased_keys') -%}
    {%- endif -%}
    {%- if erased_persons_file() %}
            when {{ is_erased(person_keys(entity)) }} then 'erased_person'
    {%- endif -%}
    {%- if consent and not is_anonymising() %}
            when is_refused then 'no_consent'
    {%- elif consent == 'touches and logins' %}
            when is_refused and (is_consented_later or kind = 'login') then 'no_consent'
    {%- elif consent %}
            when is_refused and is_consented_later then 'no_consent'
    {%- endif -%}
    {%- if time and retention_days() %}
            when {{ is_plausible_time(time) }} and {{ is_beyond_retention(time) }}
                then 'beyond_retention'
    {%- endif -%}
{%- endmacro %}

{#- Older than may be kept, counted from the start of the build. -#}
{% macro is_beyond_retention(column) -%}
    {%- set kept_from = run_started_at - modules.datetime.timedelta(days=retention_days()) -%}
    {{ column }} < timestamp '{{ kept_from.strftime("%Y-%m-%d %H:%M:%S") }}'
{%- endmacro %}

{#- Null where a row says nothing: what then counts is a setting. -#}
{% macro lacks_consent() -%}
    {{ 'has_consent is not true' if is_silence_refusal() else 'not has_consent' }}
{%- endmacro %}

{#-
  CTEs, the last of them named as the entity: its rows as delivered, and is_refused: does the row
  lack consent, or another one of its id that was not delivered before it? The input is read twice,
  but no row is kept for it, and only ids that were refused are gathered: where nobody refuses, it
  costs nothing. Rows of one id that are made anonymous are one touch, named after refused_row, and
  none where consent was given later (is_consented_later): then that later row is the touch.
  `condition` is one on the rows `delivered`; of all others it is still asked what they refuse.
-#}
{% macro consented_rows(entity, condition=none) -%}
{%- set delivered, key = ref('int_' ~ entity ~ '_unioned'), entities()[entity].key -%}
{%- if is_anonymising() -%}
refused_keys as (

    select
        source,
        {{ key }}
    from {{ delivered }}
    where {{ lacks_consent() }}

),

refused_ids as (

    select
        source,
        {{ key }},
        max(case when {{ lacks_consent() }} then {{ delivered_when() }} end) as refused_until,
        max({{ delivered_when() }}) as delivered_until,
        max(case when {{ lacks_consent() }} then raw_row end) as refused_row
    from {{ delivered }}
    where (source, {{ key }}) in (select * from refused_keys)
    group by source, {{ key }}

),
{%- else -%}
refused_ids as (

    select
        source,
        {{ key }},
        max({{ delivered_when() }}) as refused_until
    from {{ delivered }}
    where {{ lacks_consent() }}
    group by source, {{ key }}

),
{%- endif %}

{{ entity }} as (

    select
        delivered.*,
        {% if is_anonymising() -%}
        refused_ids.refused_row,
        coalesce(refused_ids.refused_until < refused_ids.delivered_until, false)
            as is_consented_later,
        {% endif -%}
        case
            when refused_ids.{{ key }} is null then coalesce({{ lacks_consent() }}, false)
            else {{ delivered_when() }} <= refused_ids.refused_until
        end as is_refused
    from {{ delivered }} as delivered
    left join refused_ids
        on
            delivered.source = refused_ids.source
            and delivered.{{ key }} = refused_ids.{{ key }}
    {%- if condition %}
    where {{ condition }}
    {%- endif %}

)
{%- endmacro %}

{#-
  A column of the select list as it is or, where the row is to be made anonymous, what takes its
  place.
-#}
{% macro unless_anonymous(column, replacement='null') -%}
    {%- if is_anonymising() -%}
        case when is_refused then {{ replacement }} else {{ column }} end as {{ column }}
    {%- else -%}
        {{ column }}
    {%- endif -%}
{%- endmacro %}

{#- Whose touch it is when it is nobody's: a name made of all that the row says. -#}
{% macro nobody() -%}
    concat('anonymous-', left(md5(coalesce(refused_row, raw_row)), 16))
{%- endmacro %}

{#- Is the row made anonymous? -#}
{% macro is_anonymous() -%}
    {{ 'is_refused' if is_anonymising() else 'false' }}
{%- endmacro %}

{#- The list of erased persons beside the warehouse's file, or none; none in unit tests too. -#}
{% macro erased_persons_file() %}
    {% if not execute or model.resource_type == 'unit_test' %}
        {{ return(none) }}
    {% endif %}
    {#- tributary build works in a folder within the warehouse's own. -#}
    {% set folder = modules.re.sub('([.]partial-build/)?[^/]*$', '', target.path) %}
    {% set path = folder ~ 'erased_persons.csv' %}
    {{ return(path if files_matching([path]) else none) }}
{% endmacro %}

{#-
  Does a column name an erased person? The keys are compared as salted digests, so that the
  warehouse's file has nobody's id for it; see the model erased_keys.
-#}
{% macro is_erased(keys) -%}
    {%- set conditions = [] -%}
    {%- for column, kind in keys.items() -%}
        {%- set erased -%}
            (select key_digest from {{ ref('erased_keys') }} where kind = '{{ kind }}')
        {%- endset -%}
        {%- set salt = '(select max(salt) from ' ~ ref('erased_keys') ~ ')' -%}
        {%- if column in ['phones', 'emails'] -%}
            {%- do conditions.append(
                'exists (select 1 from (select ' ~ each_of_list(column) ~ ' as each_value) as each_row'
                ~ ' where ' ~ salted_digest(salt, 'source', to_text('each_value')) ~ ' in ' ~ erased ~ ')'
            ) -%}
        {%- else -%}
            {%- do conditions.append(salted_digest(salt, 'source', column) ~ ' in ' ~ erased) -%}
        {%- endif -%}
    {%- endfor -%}
    ({{ conditions | join('\n                or ') }})
{%- endmacro %}

{#-
  What the source says of where a touchpoint came from, as JSON text: null where the source gives a
  channel, which then stands, and where it says nothing. The text is its own key: touchpoints that
  share it share their channel, which is found once (int_traffic_channels).
-#}

{#- The things a channel rule can ask about. -#}
{% macro traffic_columns() %}
    {{ return([
        'click_id', 'traffic_source', 'medium', 'campaign', 'referrer_host', 'tracking_label',
        'referral_source_id', 'touchpoint_type'
    ]) }}
{% endmacro %}

{#- Select list: those things as texts, empty where nothing is said. -#}
{% macro traffic_texts(traffic) -%}
    {%- for column in traffic_columns() -%}
        coalesce({{ json_text(traffic, column) }}, '') as {{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The landing page where it has parameters: few have, and only these are searched for them. -#}
{% macro page_with_parameters() -%}
    case when contains(landing_page, '=') then landing_page end
{%- endmacro %}

{#- Select list: the campaign that a row names or, as it is written, that the tags of its page do. -#}
{% macro campaign_or_tag() -%}
    coalesce(
        campaign,
        nullif({{ on_one_line(address_parameter(page_with_parameters(), 'utm_campaign')) }}, '')
    ) as campaign
{%- endmacro %}

{#- `columns`: those of the channel, traffic_source, medium, campaign, referrer, landing_page,
    tracking_label, referral_source_id that the relation has. -#}
{% macro traffic(touchpoint_type, columns) -%}
    {%- set told = columns | reject('equalto', 'channel') | list -%}
    {%- set has_page = 'landing_page' in columns -%}
    {%- set page = page_with_parameters() -%}
    {%- set values = {'touchpoint_type': "'" ~ touchpoint_type ~ "'"} -%}
    {%- if has_page and click_id_parameters() -%}
        {%- do values.update({'click_id': address_parameters_among(page, click_id_parameters())}) -%}
    {%- endif -%}
    {%- for column, parameter in {
        'traffic_source': 'utm_source', 'medium': 'utm_medium', 'campaign': 'utm_campaign'
    }.items() if column in columns -%}
        {%- set value = 'coalesce(' ~ column ~ ', ' ~ address_parameter(page, parameter) ~ ')'
            if has_page else column -%}
        {%- do values.update({column: value}) -%}
    {%- endfor -%}
    {#- A click within the site is no referral. -#}
    {%- if 'referrer' in columns -%}
        {%- do values.update({
            'referrer_host': 'case when ' ~ address_host('referrer') ~ ' is distinct from '
                ~ address_host('landing_page') ~ ' then ' ~ address_host('referrer') ~ ' end'
        }) -%}
    {%- endif -%}
    {%- for column in ['tracking_label', 'referral_source_id'] if column in columns -%}
        {%- do values.update({column: column}) -%}
    {%- endfor -%}
    case
            when {{ 'channel is null and ' if 'channel' in columns }}coalesce({{ told | join(', ') }}) is not null
                then {{ traffic_as_json(values) }}
        end
{%- endmacro %}

{#- Values are one line of lower case, at most 200 characters; what is absent is an empty text. -#}
{% macro traffic_as_json(values) -%}
    {%- set entries = {} -%}
    {%- for column in traffic_columns() if column in values -%}
        {%- do entries.update({
            column: "coalesce(left(lower(" ~ on_one_line(values[column]) ~ "), 200), '')"
        }) -%}
    {%- endfor -%}
    {{ json_object(entries) }}
{%- endmacro %}

{#- The click ids of the seed: names of parameters. -#}
{% macro click_id_parameters() %}
    {% set parameters = [] %}
    {% for row in seed_rows('click_ids', ['parameter']) %}
        {% set parameter = row.parameter | default('', true) | string | trim %}
        {% if not modules.re.fullmatch('[A-Za-z0-9_.-]{1,64}', parameter) %}
            {{ exceptions.raise_compiler_error(
                "The seed click_ids has the parameter '" ~ parameter ~ "'. Allowed: the name of a "
                ~ "parameter of landing pages: letters, digits, _ . and -, at most 64."
            ) }}
        {% endif %}
        {% do parameters.append(parameter) %}
    {% endfor %}
    {{ return(parameters) }}
{% endmacro %}

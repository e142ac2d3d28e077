{#-
  One macro per setting: reads the var (declared and explained in dbt_project.yml), checks it, and
  returns it in the form the models use. A wrong value raises an error that lists what is allowed.
-#}

{% macro setting_error(name, value, allowed) %}
    {{ exceptions.raise_compiler_error(
        "The setting " ~ name ~ " is '" ~ value ~ "'. Allowed: " ~ allowed ~ "."
    ) }}
{% endmacro %}

{% macro is_empty_setting(value) %}
    {{ return(value is none or value | string | trim | lower in ['', 'none', 'null']) }}
{% endmacro %}

{% macro journey_scope() %}
    {% set allowed = ['every_prior', 'since_last_conversion'] %}
    {% set value = var('journey_scope') %}
    {% if value not in allowed %}
        {{ setting_error('journey_scope', value, allowed | join(', ')) }}
    {% endif %}
    {{ return(value) }}
{% endmacro %}

{#- A positive number of days, or none where journeys reach back without limit. -#}
{% macro lookback_days() %}
    {% set value = var('lookback_days') %}
    {% if is_empty_setting(value) %}
        {{ return(none) }}
    {% endif %}
    {{ return(positive_number('lookback_days', value, 'a positive number of days up to 999999, or none')) }}
{% endmacro %}

{% macro include_touch_at_conversion() %}
    {{ return(true_or_false('include_touch_at_conversion')) }}
{% endmacro %}

{% macro include_open_journeys() %}
    {{ return(true_or_false('include_open_journeys')) }}
{% endmacro %}

{% macro true_or_false(name) %}
    {% set value = var(name) | string | lower %}
    {% if value not in ['true', 'false'] %}
        {{ setting_error(name, value, 'true, false') }}
    {% endif %}
    {{ return(value == 'true') }}
{% endmacro %}

{#- The longest order of the Markov model that is counted. -#}
{% macro markov_max_order() %}
    {{ return(whole_number('markov_max_order', var('markov_max_order'), 5)) }}
{% endmacro %}

{#- The order of the Markov model, or none where held-out likelihood chooses it. -#}
{% macro markov_order() %}
    {% set value = var('markov_order') %}
    {% if value | string | trim | lower == 'auto' %}
        {{ return(none) }}
    {% endif %}
    {{ return(whole_number('markov_order', value, markov_max_order(), 'markov_max_order')) }}
{% endmacro %}

{% macro path_summary_rows() %}
    {{ return(whole_number('path_summary_rows', var('path_summary_rows'), 999999)) }}
{% endmacro %}

{% macro whole_number(name, value, most, most_is=none) %}
    {% set text = value | string | trim %}
    {% if not modules.re.fullmatch('[0-9]{1,6}', text) or not 1 <= text | int <= most %}
        {{ setting_error(
            name, value,
            'a whole number from 1 to ' ~ most ~ (' (' ~ most_is ~ ')' if most_is else '')
            ~ (', or auto' if name == 'markov_order' else '')
        ) }}
    {% endif %}
    {{ return(text | int) }}
{% endmacro %}

{% macro time_decay_half_life_days() %}
    {{ return(positive_number(
        'time_decay_half_life_days',
        var('time_decay_half_life_days'),
        'a positive number of days up to 999999'
    )) }}
{% endmacro %}

{#- Are touches without consent made anonymous, in place of being left out? -#}
{% macro is_anonymising() %}
    {{ return(one_of('without_consent', ['exclude', 'anonymise']) == 'anonymise') }}
{% endmacro %}

{#- Does a row count as refused where it says nothing of consent? -#}
{% macro is_silence_refusal() %}
    {{ return(one_of('missing_consent', ['given', 'refused']) == 'refused') }}
{% endmacro %}

{% macro one_of(name, allowed) %}
    {% set value = var(name) | string | trim | lower %}
    {% if value not in allowed %}
        {{ setting_error(name, var(name), allowed | join(', ')) }}
    {% endif %}
    {{ return(value) }}
{% endmacro %}

{#- How many days events are kept, or none: no fewer than journeys look back. -#}
{% macro retention_days() %}
    {% set value = var('retention_days') %}
    {% if is_empty_setting(value) %}
        {{ return(none) }}
    {% endif %}
    {% set lookback = lookback_days() %}
    {% set allowed = 'null, or a whole number of days up to 36500 that is not below lookback_days, which is '
        ~ (lookback or 'none: set that too') %}
    {% set text = value | string | trim %}
    {% if not modules.re.fullmatch('[0-9]{1,5}', text) or not 1 <= text | int <= 36500
        or lookback is none or text | int < lookback | float %}
        {{ setting_error('retention_days', value, allowed) }}
    {% endif %}
    {{ return(text | int) }}
{% endmacro %}

{#- How many published generations tributary build keeps. -#}
{% macro keep_generations() %}
    {{ return(whole_number('keep_generations', var('keep_generations'), 999999)) }}
{% endmacro %}

{#- Folder with the results of the external IHC service, or none where the built-in model counts. -#}
{% macro ihc_results_path() %}
    {% set value = var('ihc_results_path') %}
    {{ return(none if is_empty_setting(value) else value | string | trim) }}
{% endmacro %}

{% macro positive_number(name, value, allowed) %}
    {% set text = decimal_text(value) %}
    {% if not modules.re.fullmatch('[0-9]{1,6}([.][0-9]{1,9})?', text) or text | float <= 0 %}
        {{ setting_error(name, value, allowed ~ ', with 9 decimals at most') }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{#- A number as SQL takes it for an exact one: YAML's 0.00005 comes as 5e-05. -#}
{% macro decimal_text(value) %}
    {% set text = value | string | trim %}
    {% if modules.re.fullmatch('[0-9]([.][0-9]+)?e-[0-9]+', text) %}
        {{ return(('%.15f' | format(text | float)).rstrip('0')) }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{#-
  Country of phone numbers that are written without a country code: those that the library which
  reads them knows, which are the countries of ISO 3166-1 but for seven that have no numbers of
  their own, and three that have.
-#}
{% macro default_phone_region() %}
    {% set text = var('default_phone_region') | string | trim %}
    {% set without_numbers = ['AQ', 'BV', 'GS', 'HM', 'PN', 'TF', 'UM'] %}
    {% if text in without_numbers
        or text not in modules.pytz.country_names.keys() | list + ['AC', 'TA', 'XK'] %}
        {{ setting_error(
            'default_phone_region', var('default_phone_region'),
            "a country in two capital letters (ISO 3166-1) that has phone numbers of its own, such as"
            ~ " US, CA or GB; 'NO' needs quotes"
        ) }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{% macro email_provider_rules() %}
    {{ return(true_or_false('email_provider_rules')) }}
{% endmacro %}

{% macro identity_max_customers_per_contact() %}
    {{ return(whole_number(
        'identity_max_customers_per_contact', var('identity_max_customers_per_contact'), 999999
    )) }}
{% endmacro %}

{% macro probabilistic_matching() %}
    {{ return(true_or_false('probabilistic_matching')) }}
{% endmacro %}

{#- The probability from which two customers are taken for one. -#}
{% macro match_threshold() %}
    {% set allowed = 'a number above 0.5 and below 1' %}
    {% set value = positive_number('match_threshold', var('match_threshold'), allowed) %}
    {% if not 0.5 < value | float < 1 %}
        {{ setting_error('match_threshold', value, allowed) }}
    {% endif %}
    {{ return(value) }}
{% endmacro %}

{#- The model whose intervals recommendations rest on: one that says how sure it is. -#}
{% macro recommendation_model() %}
    {% set allowed = channel_total_tables().keys() | list + ['ensemble'] %}
    {% set value = var('recommendation_model') %}
    {% if value not in allowed %}
        {{ setting_error(
            'recommendation_model', value,
            'a model with intervals: ' ~ allowed | join(', ')
        ) }}
    {% endif %}
    {{ return(value) }}
{% endmacro %}

{% macro target_roas() %}
    {{ return(positive_number('target_roas', var('target_roas'), 'a positive number up to 999999')) }}
{% endmacro %}

{% macro raise_margin() %}
    {{ return(ratio_of_at_least_one('raise_margin')) }}
{% endmacro %}

{% macro widest_interval_ratio() %}
    {{ return(ratio_of_at_least_one('widest_interval_ratio')) }}
{% endmacro %}

{% macro nurture_ratio() %}
    {{ return(ratio_of_at_least_one('nurture_ratio')) }}
{% endmacro %}

{% macro ratio_of_at_least_one(name) %}
    {% set allowed = 'a number from 1 to 999999' %}
    {% set value = positive_number(name, var(name), allowed) %}
    {% if value | float < 1 %}
        {{ setting_error(name, value, allowed) }}
    {% endif %}
    {{ return(value) }}
{% endmacro %}

{#- The currency that all amounts are converted to, or none where there is one alone. -#}
{% macro reporting_currency() %}
    {% set value = var('reporting_currency') %}
    {% if is_empty_setting(value) %}
        {{ return(none) }}
    {% endif %}
    {% set text = value | string | trim %}
    {% if not modules.re.fullmatch('[A-Z]{3}', text) %}
        {{ setting_error(
            'reporting_currency', value, 'a currency in three capital letters (ISO 4217), or none'
        ) }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{#- Shares of rejected rows above which a build warns or fails; none where that is off. -#}
{% macro warn_rejected_share() %}
    {{ return(optional_share('warn_rejected_share', var('warn_rejected_share'))) }}
{% endmacro %}

{% macro fail_rejected_share() %}
    {{ return(optional_share('fail_rejected_share', var('fail_rejected_share'))) }}
{% endmacro %}

{% macro optional_share(name, value) %}
    {{ return(none if is_empty_setting(value) else share(name, value, 'a share from 0 to 1, or none')) }}
{% endmacro %}

{% macro share(name, value, allowed) %}
    {% set text = decimal_text(value) %}
    {% if not modules.re.fullmatch('[01]([.][0-9]{1,9})?', text) or text | float > 1 %}
        {{ setting_error(name, value, allowed ~ ', with 9 decimals at most') }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{#- By measure of rpt_coverage the share below which a build warns or fails. -#}
{% macro warn_coverage_below() %}
    {{ return(coverage_minimums('warn_coverage_below')) }}
{% endmacro %}

{% macro fail_coverage_below() %}
    {{ return(coverage_minimums('fail_coverage_below')) }}
{% endmacro %}

{% macro coverage_minimums(name) %}
    {% set value = var(name) %}
    {% set allowed = 'shares from 0 to 1 of ' ~ coverage_measures() | join(', ')
        ~ ', as {revenue_attributed: 0.5}, or none' %}
    {% set minimums = {} %}
    {% if not is_empty_setting(value) %}
        {% if value is not mapping %}
            {{ setting_error(name, value, allowed) }}
        {% endif %}
        {% for measure, minimum in value.items() %}
            {% if measure not in coverage_measures() %}
                {{ setting_error(name, value, allowed) }}
            {% endif %}
            {% do minimums.update({measure: share(name, minimum, allowed)}) %}
        {% endfor %}
    {% endif %}
    {{ return(minimums) }}
{% endmacro %}

{#- First and last day of the reporting period as 'YYYY-MM-DD', or none where it is open. -#}
{% macro start_date() %}
    {{ return(date_setting('start_date')) }}
{% endmacro %}

{% macro end_date() %}
    {{ return(date_setting('end_date')) }}
{% endmacro %}

{% macro date_setting(name) %}
    {% set value = var(name) %}
    {% if is_empty_setting(value) %}
        {{ return(none) }}
    {% endif %}
    {% set text = value | string | trim %}
    {% set parts = modules.re.fullmatch('(20[0-9]{2}|19[0-9]{2})-([0-9]{2})-([0-9]{2})', text) %}
    {% set days_in_month = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] %}
    {% if parts %}
        {% set year, month, day = parts.group(1) | int, parts.group(2) | int, parts.group(3) | int %}
        {% set is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 %}
        {% set is_february_29 = is_leap and month == 2 and day == 29 %}
    {% endif %}
    {% if not parts
        or not 1 <= month <= 12
        or not (1 <= day <= days_in_month[month - 1] or is_february_29) %}
        {{ setting_error(
            name, value, 'a calendar day from 1900 to 2099 as YYYY-MM-DD, for example 2023-08-29'
        ) }}
    {% endif %}
    {{ return(text) }}
{% endmacro %}

{#- The sources that take part, in the order given: the var, else TRIBUTARY_SOURCES, else demo. -#}
{% macro enabled_sources() %}
    {% set allowed = 'a list of ' ~ known_sources() | join(', ') %}
    {% set value = var('sources') %}
    {% if value is none %}
        {% set value = env_var('TRIBUTARY_SOURCES', '') or 'demo' %}
    {% endif %}
    {% if value is string %}
        {% set value = value.strip('[] ').split(',') %}
    {% endif %}
    {% if value is not sequence or value is mapping or not value %}
        {{ setting_error('sources', value, allowed) }}
    {% endif %}
    {% set sources = [] %}
    {% for source in value %}
        {% set name = source | string | trim %}
        {% if name not in known_sources() %}
            {{ setting_error('sources', name, allowed) }}
        {% endif %}
        {% if name not in sources %}
            {% do sources.append(name) %}
        {% endif %}
    {% endfor %}
    {{ return(sources) }}
{% endmacro %}

{% macro is_source_enabled(name) %}
    {{ return(name in enabled_sources()) }}
{% endmacro %}

{#- The names of all settings. -#}
{% macro setting_names() %}
    {{ return([
        'sources', 'ihc_database', 'files_path', 'demo_path', 'start_date', 'end_date',
        'journey_scope', 'lookback_days', 'include_touch_at_conversion',
        'time_decay_half_life_days', 'markov_order', 'markov_max_order', 'include_open_journeys',
        'path_summary_rows', 'ihc_results_path', 'default_phone_region', 'email_provider_rules',
        'identity_max_customers_per_contact', 'probabilistic_matching', 'match_threshold',
        'recommendation_model', 'target_roas', 'raise_margin', 'widest_interval_ratio',
        'nurture_ratio', 'keep_generations', 'warn_rejected_share', 'fail_rejected_share',
        'warn_coverage_below', 'fail_coverage_below', 'reporting_currency',
        'without_consent', 'missing_consent', 'retention_days'
    ]) }}
{% endmacro %}

{#- Runs at the start of every build: every setting is valid, none is misspelt. -#}
{% macro check_settings() %}
    {% if execute %}
        {% set settings = setting_names() %}
        {% for name in invocation_args_dict.get('vars', {}) %}
            {% if name not in settings %}
                {{ exceptions.raise_compiler_error(
                    "There is no setting '" ~ name ~ "'. Allowed: " ~ settings | join(', ') ~ "."
                ) }}
            {% endif %}
        {% endfor %}
        {% do enabled_sources() %}
        {% do journey_scope() %}
        {% do lookback_days() %}
        {% do include_touch_at_conversion() %}
        {% do time_decay_half_life_days() %}
        {% do markov_max_order() %}
        {% do markov_order() %}
        {% do include_open_journeys() %}
        {% do path_summary_rows() %}
        {% do default_phone_region() %}
        {% do email_provider_rules() %}
        {% do identity_max_customers_per_contact() %}
        {% do probabilistic_matching() %}
        {% do match_threshold() %}
        {% do recommendation_model() %}
        {% do target_roas() %}
        {% do raise_margin() %}
        {% do widest_interval_ratio() %}
        {% do nurture_ratio() %}
        {% do keep_generations() %}
        {% do reporting_currency() %}
        {% do warn_rejected_share() %}
        {% do fail_rejected_share() %}
        {% do warn_coverage_below() %}
        {% do fail_coverage_below() %}
        {% do is_anonymising() %}
        {% do is_silence_refusal() %}
        {% do retention_days() %}
        {% do start_date() %}
        {% do end_date() %}
        {% if start_date() and end_date() and start_date() > end_date() %}
            {{ setting_error(
                'start_date', start_date(), 'a day on or before end_date, which is ' ~ end_date()
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}

{#-
  Weightings that are rows of seeds, read when the models that use them are compiled, after the
  seeds are loaded. A row that cannot be used stops the build and is named.
-#}

{#-
  The rows of a seed as dictionaries; none while nothing has been loaded yet, nor in a unit test, which
  says itself what it reads.
-#}
{% macro seed_rows(name, columns) %}
    {% set relation = ref(name) if model.resource_type != 'unit_test' %}
    {% set rows = [] %}
    {% if execute and relation and load_relation(relation) is not none %}
        {% set listed = columns | join(', ') %}
        {% for row in run_query('select ' ~ listed ~ ' from ' ~ relation ~ ' order by ' ~ listed) %}
            {% do rows.append(row.dict()) %}
        {% endfor %}
    {% endif %}
    {{ return(rows) }}
{% endmacro %}

{#- Model -> SQL weight of a touch, for the models of the family decay. -#}
{% macro decay_weights() %}
    {% set words = [
        'days_before_conversion', 'days_before_last_touch', 'power', 'exp', 'ln', 'sqrt',
        'greatest', 'least', 'case', 'when', 'then', 'else', 'end', 'and', 'or', 'not', 'between'
    ] %}
    {% set weights = {} %}
    {% for row in seed_rows('attribution_models', ['attribution_model', 'family', 'decay_weight']) %}
        {% if row.family == 'decay' %}
            {% do check_name(row.attribution_model, 'attribution_models', row.family, 'decay') %}
            {% set weight = row.decay_weight | default('', true) | string %}
            {% set rest = modules.re.sub('[0-9]+([.][0-9]+)?|[-+*/()<>=, ]', ' ', weight) %}
            {% set unknown = rest.lower().split() | reject('in', words) | list %}
            {% set fault = 'it has other words' if unknown else statement_fault(
                'select ' ~ positive_and_finite(weight) ~ ' from (select cast(1 as double)'
                ~ ' as days_before_conversion, cast(1 as double) as days_before_last_touch)'
            ) %}
            {% if fault %}
                {{ exceptions.raise_compiler_error(
                    "The model " ~ row.attribution_model ~ " of the seed attribution_models has the "
                    ~ "decay_weight '" ~ weight ~ "'. Allowed: a SQL expression of numbers, + - * / "
                    ~ "( ) < > =, " ~ words | join(', ') ~ ". What is wrong: " ~ fault
                ) }}
            {% endif %}
            {% do weights.update({row.attribution_model: weight}) %}
        {% endif %}
    {% endfor %}
    {{ return(weights) }}
{% endmacro %}

{#- Model -> its rows of the seed position_shares (place: none for the other touches). -#}
{% macro position_shares() %}
    {% set shares, families = {}, {} %}
    {% for row in seed_rows('attribution_models', ['attribution_model', 'family']) %}
        {% do families.update({row.attribution_model: row.family}) %}
    {% endfor %}
    {% for row in seed_rows('position_shares', ['attribution_model', 'place', 'share']) %}
        {% do check_name(
            row.attribution_model, 'position_shares', families[row.attribution_model], 'position'
        ) %}
        {% do shares.setdefault(row.attribution_model, []).append(row) %}
    {% endfor %}
    {% for model, rows in shares.items() %}
        {% set places = rows | map(attribute='place') | reject('none') | map('float') | list %}
        {% set each = rows | map(attribute='share') | map('float') | list %}
        {% if not places
            or places | min < 0 or places | max > 1
            or each | min < 0
            or (each | sum - 1) | abs > 1e-9 %}
            {{ exceptions.raise_compiler_error(
                "The model " ~ model ~ " of the seed position_shares has the places " ~ places
                ~ " and the shares " ~ each ~ ". Allowed: at least one place, each from 0 (first "
                ~ "touch) to 1 (last touch) or empty (the other touches), and shares of at least 0 "
                ~ "that add up to 1."
            ) }}
        {% endif %}
    {% endfor %}
    {{ return(shares) }}
{% endmacro %}

{#-
  A model's name becomes a column, beside those of a touchpoint's credits: it must be one that they do
  not have, nor a word of SQL. A row of another family must not be taken for the model.
-#}
{% macro check_name(name, seed, family, wanted) %}
    {% set taken = [
        'source', 'conversion_key', 'conversion_type', 'touchpoint_key', 'person_key', 'channel',
        'channel_key', 'touch_date', 'touched_at', 'touch_number', 'touches_of_day', 'converted_at',
        'journey_length', 'last_non_direct_touch_number', 'last_paid_touch_number',
        'days_before_conversion', 'days_before_last_touch', 'revenue', 'is_from_service',
        'attribution_model', 'date', 'credit', 'conversions'
    ] %}
    {% if not modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name | string) or name in taken
        or statement_fault('select ' ~ name ~ ' from (select 1 as ' ~ name ~ ')') %}
        {{ exceptions.raise_compiler_error(
            "The seed " ~ seed ~ " names a model '" ~ name ~ "'. Allowed: small letters, digits and "
            ~ "underscores, a letter first; no word of SQL such as select or end, and none of "
            ~ taken | join(', ') ~ "."
        ) }}
    {% elif family and (family != wanted or name in models_with_rules_of_their_own()) %}
        {{ exceptions.raise_compiler_error(
            "The model " ~ name ~ " has a row of the seed " ~ seed ~ " as one of the family " ~ wanted
            ~ ", but is " ~ ("computed in a way of its own" if family == wanted
                else "of the family " ~ family) ~ ". Give the row another name."
        ) }}
    {% endif %}
{% endmacro %}

{#- Why DuckDB cannot run a statement that needs nothing but itself; empty where it can. -#}
{% macro statement_fault(statement) %}
    {{ return(query_column('select statement_fault(' ~ sql_text(statement) ~ ')')[0]) }}
{% endmacro %}

{#-
  Share of one touch from the rows of position_shares with a place: the touch nearest to a place
  takes its share, and two equally near take half each.
-#}
{% macro share_at_places(rows) -%}
    {%- for row in rows if row.place is not none -%}
        {{ row.share }} * 0.5 * (
            case when touch_number = ceil({{ row.place }} * (journey_length - 1) + 0.5) then 1 else 0 end
            + case when touch_number = floor({{ row.place }} * (journey_length - 1) + 1.5) then 1 else 0 end
        )
        {%- if not loop.last %} + {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- A weight that somebody wrote, or 0 where it is negative, infinite or cannot be computed. -#}
{% macro positive_and_finite(weight) -%}
    case
            when {{ number_or_null(weight) }} between 0 and 1e300 then {{ number_or_null(weight) }}
            else 0
        end
{%- endmacro %}

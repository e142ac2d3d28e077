{#-
  A build of a part, as by --select, reads the rest of the warehouse as it was built before. Where
  that was with other settings, or with other rows of a seed, rows of both would be mixed without
  a word: such a build is refused. The table main.built_with has a row per model and seed:
  `settings` are those of the build that made it, and `begun` those of builds that were to make it
  anew and have not ended, or were stopped. Of what has no row, because it was made before there was
  this table, nothing is known or asked.
-#}

{#- Comes first in a build. -#}
{% macro refuse_to_mix_settings() %}
    {% if execute and flags.WHICH in ['build', 'run'] %}
        {% do make_built_with() %}
        {% set current = settings_of_this_build() %}
        {% set others = {} %}
        {% for row in run_query(
            "select name, text from (select name, unnest(list_append(begun, settings)) as text"
            ~ " from main.built_with) where text != " ~ sql_text(current)
            ~ " and name not in " ~ sql_texts(selected_resources)
        ) %}
            {% do others.setdefault(row[0], []).append(fromjson(row[1])) %}
        {% endfor %}
        {% set other_settings = settings_mixed(fromjson(current), others) if others %}
        {% if other_settings %}
            {{ exceptions.raise_compiler_error(
                "What is selected reads models that were built with other settings: rows of both"
                ~ " would be mixed.\n" ~ other_settings.told | join('\n')
                ~ "\nBuild everything (dbt build), or those models too (--select "
                ~ other_settings.selected | join(' ')
                ~ "), or give the settings that they were built with."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}

{#- Comes last before models are built: a build that was refused before has begun nothing. -#}
{% macro note_what_is_begun() %}
    {% if execute and flags.WHICH in ['build', 'run', 'seed'] %}
        {% do make_built_with() %}
        {% do run_query(
            "insert into main.built_with select name, null, [" ~ sql_text(settings_of_this_build())
            ~ "] from (select unnest(" ~ sql_texts(selected_resources) ~ ") as name)"
            ~ " where name similar to '(model|seed)[.].*' on conflict (name) do update set"
            ~ " begun = list_distinct(list_concat(built_with.begun, excluded.begun))"
        ) %}
    {% endif %}
{% endmacro %}

{#-
  Comes after a build. What failed, or was not come to, is as it was before. dbt retry names what
  it builds in its results alone.
-#}
{% macro note_what_is_built(results) %}
    {% if execute and flags.WHICH in ['build', 'run', 'seed'] %}
        {% set built = [] %}
        {% for result in results if result.status == 'success' %}
            {% do built.append(result.node.unique_id) %}
        {% endfor %}
        {% do run_query(
            "update main.built_with set begun = list_filter(begun, lambda text: text != "
            ~ sql_text(settings_of_this_build()) ~ ") where name in " ~ sql_texts(selected_resources)
        ) %}
        {% do run_query(
            "insert into main.built_with select unnest(" ~ sql_texts(built) ~ "), "
            ~ sql_text(settings_of_this_build(built)) ~ ", [] on conflict (name) do update set"
            ~ " settings = excluded.settings, begun = []"
        ) %}
    {% endif %}
{% endmacro %}

{% macro make_built_with() %}
    {% do run_query(
        "create table if not exists main.built_with"
        ~ " (name varchar primary key, settings varchar, begun varchar[])"
    ) %}
{% endmacro %}

{#- Texts as a list of SQL, also to be used after IN. -#}
{% macro sql_texts(texts) %}
    {% set literals = [] %}
    {% for text in texts %}
        {% do literals.append(sql_text(text)) %}
    {% endfor %}
    {{ return("[" ~ literals | join(', ') ~ "]") }}
{% endmacro %}

{#-
  The settings as JSON, and of every seed the checksum of the file that is loaded: of that of now
  where the seed is among `built`, what this build makes or has made; of a seed whose loading was
  stopped nobody knows which rows it has. What means the same is the same: 90, 90.0 and '90'.
  Where the input lies is none of them: the same may lie elsewhere, or another one there.
-#}
{% macro settings_of_this_build(built=selected_resources) %}
    {% set settings = {} %}
    {% for name in setting_names() if name not in ['ihc_database', 'files_path', 'demo_path'] %}
        {% set value = {
            'sources': enabled_sources() | sort | join(', '),
            'ihc_results_path': 'a folder' if ihc_results_path() else none
        }.get(name, var(name)) %}
        {% set text = 'none' if is_empty_setting(value) else decimal_text(value) %}
        {% set text = text | lower if text | lower in ['true', 'false'] else text %}
        {% do settings.update({name: modules.re.sub('^([0-9]+)[.]0+$', '\\1', text)}) %}
    {% endfor %}
    {% for row in run_query(
        "select name, case when begun = [] then settings ->> name else 'unknown' end"
        ~ " from main.built_with where name like 'seed.%'"
    ) %}
        {% do settings.update({row[0]: row[1]}) %}
    {% endfor %}
    {% for name in built if name.startswith('seed.') %}
        {% do settings.update({name: graph.nodes[name].checksum.checksum}) %}
    {% endfor %}
    {{ return(tojson(settings, sort_keys=true)) }}
{% endmacro %}

{#-
  What this build would mix: what to tell of each setting (told), and the models that would have
  rows of both, as dbt selects them with all that they read (selected); none where nothing would
  be mixed. `others` are settings that models of the warehouse were built with.
-#}
{% macro settings_mixed(current, others) %}
    {% set nodes, models, selected = {}, {}, [] %}
    {% for name, node in graph.nodes.items() if node.resource_type == 'model' %}
        {% do nodes.update({name: node}) %}
    {% endfor %}
    {% for name, readers in models_read(nodes).items() if name in others %}
        {% set settings_read = settings_of_model(nodes, name) %}
        {% for other in others[name] %}
            {% for setting, value in other.items() if setting in settings_read
                and value != current.get(setting, value) %}
                {% do models.setdefault((setting, value), []).append(name.split('.')[-1]) %}
                {% do selected.extend(readers) %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {% set told = [] %}
    {% for key, names in models | dictsort %}
        {% set names = names | unique | sort %}
        {% do told.append(
            ("The seed " ~ key[0].split('.')[-1] ~ " has other rows than"
                if key[0].startswith('seed.')
                else key[0] ~ " is " ~ current[key[0]] ~ " and was " ~ key[1])
            ~ " in a build of " ~ names[:5] | join(', ')
            ~ (" and " ~ (names | length - 5) ~ " more" if names | length > 5 else "") ~ "."
        ) %}
    {% endfor %}
    {{ return({'told': told, 'selected': selected | unique | sort} if told) }}
{% endmacro %}

{#-
  The models that this build reads and does not make, each with those that it makes of them. A
  view has no rows: it is asked itself, and so is what it reads. What says who has changed is not
  read by a model by person that is built without it.
-#}
{% macro models_read(nodes) %}
    {% set read, pending = {}, [] %}
    {% for name in selected_resources if name in nodes %}
        {% do pending.append((name, '+' ~ nodes[name].name)) %}
    {% endfor %}
    {#- The list grows while it is walked. -#}
    {% for name, reader in pending %}
        {% for parent in nodes[name].depends_on.nodes if parent in nodes
            and parent not in selected_resources and nodes[parent].name not in models_of_changes()
            and reader not in read.get(parent, []) %}
            {% do read.setdefault(parent, []).append(reader) %}
            {% if nodes[parent].config.materialized == 'view' %}
                {% do pending.append((parent, reader)) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(read) }}
{% endmacro %}

{#-
  The settings and seeds that rows of a model follow from: its own and those of all that it is
  made from. Of a view, which is made from nothing, its own alone.
-#}
{% macro settings_of_model(nodes, name) %}
    {% set found, ancestors = [], [name] %}
    {#- The list grows while it is walked. -#}
    {% for ancestor in ancestors %}
        {% if ancestor in nodes %}
            {% set node = nodes[ancestor] %}
            {% do found.extend(settings_in(node.raw_code ~ node.unrendered_config)) %}
            {% for parent in node.depends_on.nodes if parent not in ancestors and (
                parent not in nodes or nodes[name].config.materialized != 'view'
            ) and parent.split('.')[-1] not in models_of_changes() %}
                {% do ancestors.append(parent) %}
            {% endfor %}
        {% else %}
            {% do found.append(ancestor) %}
        {% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{#-
  The settings that code reads, by itself or through macros. A macro that reads one checks it too,
  perhaps against others, which is no use of them. That all are part of what tells whether rows
  have changed, is none either.
-#}
{% macro settings_in(code) %}
    {% set found, called, texts = [], ['code_and_settings'], [code] %}
    {#- The list grows while it is walked. -#}
    {% for text in texts %}
        {% set direct = modules.re.findall(
            "(?:var|one_of|true_or_false|date_setting|ratio_of_at_least_one)[(]'([a-z_]+)'", text
        ) %}
        {% do found.extend(direct) %}
        {% for name in modules.re.findall(
            '([a-z_]+)[(]', text if text == code or not direct else ''
        ) if name in context['tributary'] and name not in called %}
            {% do called.append(name) %}
            {% do texts.append(context['tributary'][name].macro.macro_sql) %}
        {% endfor %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{#-
  Files that have their columns in the same types are read together. A column that has another type in
  another file is text in all: united by the reader, the values of one file would take the type of the
  other, and lose digits to it. A name with blanks around it is the same name without.
-#}
{% macro parquet_input(files) %}
    {% set relations, columns, types, groups = {}, {}, {}, {} %}
    {% for file in files %}
        {% set relation = parquet_reader(file_literal(file)) %}
        {% set found = columns_of(relation) %}
        {% do relations.update({file: relation}) %}
        {% do columns.update({file: found}) %}
        {% for name, column in found.items() %}
            {% do types.setdefault(name, []).append(column.type) %}
        {% endfor %}
    {% endfor %}
    {% for file in files %}
        {% set texts, own_types, names = [], [], [] %}
        {% for name, column in columns[file].items() if types[name] | unique | list | length > 1 %}
            {% do texts.append(landed_column(column, 'text') ~ ' as ' ~ quoted_name(column.name)) %}
            {% do own_types.append(column) %}
        {% endfor %}
        {% for column in columns[file].values() if column.name != column.name | trim %}
            {% do names.append(quoted_name(column.name) ~ ' as ' ~ quoted_name(column.name | trim)) %}
        {% endfor %}
        {% set alike = groups.setdefault(
            [own_types, names] | string, {'texts': texts, 'names': names, 'files': []}
        ) %}
        {% do alike.files.append(file_literal(file)) %}
    {% endfor %}
    {% set readers = [] %}
    {% for group in groups.values() %}
        {% set reader = "select *"
            ~ (" replace (" ~ group.texts | join(', ') ~ ")" if group.texts else "") ~ " from "
            ~ parquet_reader(group.files | join(', '), ", filename = '" ~ file_column() ~ "'") %}
        {% do readers.append(
            "select * rename (" ~ group.names | join(', ') ~ ") from (" ~ reader ~ ")"
            if group.names else reader
        ) %}
    {% endfor %}
    {{ return({
        'are_files': true,
        'names': files,
        'relations': relations,
        'columns': columns,
        'relation': "(" ~ readers | join(" union all by name ") ~ ")"
    }) }}
{% endmacro %}

{% macro parquet_reader(literals, options='') %}
    {{ return(
        "read_parquet([" ~ literals ~ "], union_by_name = true, hive_partitioning = false" ~ options ~ ")"
    ) }}
{% endmacro %}

{#-
  dbt asks this of every incremental model, when it is compiled and when it is built: also where what
  has changed is not known, or too much, a model is built as by --full-refresh. The states of persons
  are, where they are replaced; else they stay as they are.
-#}
{% macro should_full_refresh() %}
    {% set strategy = config.get('incremental_strategy') %}
    {{ return(
        dbt.should_full_refresh()
        or (strategy == 'changed_persons' and is_for_all_persons())
        or (strategy == 'changed_deliveries' and is_for_all_deliveries())
        or (strategy == 'changed_touchpoints' and are_all_touchpoints_new())
        or (model.name == 'int_person_states' and are_person_states_replaced())
    ) }}
{% endmacro %}

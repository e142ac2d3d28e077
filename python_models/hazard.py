"""Person-time hazard from exposure, the features of conversions and a sample of person-time."""

from typing import Any

from tributary.hazard_tables import attribute_person_time
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per coefficient, channel total and diagnostic; see tributary.hazard_tables."""
    return attribute_person_time(
        as_arrow(dbt.ref("int_hazard_exposure")),
        as_arrow(dbt.ref("int_hazard_events")),
        as_arrow(dbt.ref("int_hazard_points")),
        as_arrow(dbt.ref("int_hazard_point_touches")),
    )

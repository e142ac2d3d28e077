"""Data-driven attribution from a sample of person-days."""

from typing import Any

from tributary.data_driven import attribute_person_days
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per total, revenue and diagnostic; see tributary.data_driven."""
    return attribute_person_days(
        as_arrow(dbt.ref("int_person_days")), as_arrow(dbt.ref("int_person_day_touches"))
    )

"""Shapley attribution from channel sets."""

from typing import Any

from tributary.relations import as_arrow
from tributary.shapley import attribute_channel_sets


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.shapley."""
    return attribute_channel_sets(as_arrow(dbt.ref("int_channel_sets")))

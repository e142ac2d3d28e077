"""Shapley values of the channels in the game of conversion rates: a diagnostic."""

from typing import Any

from tributary.relations import as_arrow
from tributary.shapley import attribute_conversion_rates


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.shapley."""
    return attribute_conversion_rates(as_arrow(dbt.ref("int_channel_sets")))

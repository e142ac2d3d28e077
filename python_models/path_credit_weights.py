"""Weights of channels that bring credits of touchpoints in line with totals of channels."""

from typing import Any

from tributary.raking import channel_weights
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per attribution model, conversion type and channel; see tributary.raking."""
    return channel_weights(
        as_arrow(dbt.ref("int_channel_sets")), as_arrow(dbt.ref("int_raking_targets"))
    )

"""Markov attribution from transition counts."""

from typing import Any

from tributary.markov import attribute_transitions
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.markov."""
    order = dbt.config.meta_get("markov_order")
    return attribute_transitions(
        as_arrow(dbt.ref("int_training_transitions")), None if order == "auto" else int(order)
    )

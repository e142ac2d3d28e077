"""Markov attribution of order 1 from transition counts."""

from typing import Any

from tributary.markov import attribute_transitions


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.markov."""
    return attribute_transitions(dbt.ref("int_transition_counts").to_arrow_table())

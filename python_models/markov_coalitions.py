"""Shapley values of the channels in the game of a Markov chain, from transition counts."""

from typing import Any

from tributary.relations import as_arrow
from tributary.shapley import attribute_markov_coalitions


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.shapley."""
    return attribute_markov_coalitions(as_arrow(dbt.ref("int_coalition_transitions")))

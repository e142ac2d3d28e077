"""How well Markov chains of every order predict journeys held out."""

from typing import Any

from tributary.markov import describe_orders
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and order; see tributary.markov."""
    order = dbt.config.meta_get("markov_order")
    return describe_orders(
        as_arrow(dbt.ref("int_training_transitions")), None if order == "auto" else int(order)
    )

"""Which entities are one person."""

from typing import Any

from tributary.identity import path_confidences, resolve_identities
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per node of the identity graph; see tributary.identity."""
    resolved = resolve_identities(
        as_arrow(dbt.ref("int_identity_nodes")),
        as_arrow(dbt.ref("int_identity_edges")),
        as_arrow(dbt.ref("int_identity_merges")),
    )
    confidences = path_confidences(resolved, as_arrow(dbt.ref("identity_rules")))
    return resolved.append_column("confidence", confidences)

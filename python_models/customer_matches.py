"""Customers that are probably one person."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tributary.relations import as_arrow

MATCHES = pa.schema(
    [
        ("source", pa.string()),
        ("left_customer_id", pa.string()),
        ("right_customer_id", pa.string()),
        ("probability", pa.float64()),
    ]
)


def model(dbt: Any, session: Any) -> Any:
    """One row per pair of customers of one source; see tributary.record_linkage."""
    customers = dbt.ref("int_customer_records")
    is_wanted = dbt.config.meta_get("probabilistic_matching")
    threshold = dbt.config.meta_get("match_threshold")
    if is_wanted != "true":
        return MATCHES.empty_table()
    # Its libraries take a second to load, which builds that match nobody shall not wait for.
    from tributary.record_linkage import match_records

    records = as_arrow(customers).rename_columns({"customer_id": "record_key"})
    matches = [MATCHES.empty_table()]
    for source in pc.unique(records["source"]).sort():
        pairs = match_records(
            records.filter(pc.field("source") == source).drop_columns("source"),
            float(threshold),
        )
        sources = pa.array([source.as_py()] * len(pairs), pa.string())
        matches.append(pa.table([sources, *pairs.columns], schema=MATCHES))
    return pa.concat_tables(matches)

"""How a dbt Python model takes its input: one place for what differs between engines."""

from typing import Any

import pyarrow as pa


def as_arrow(relation: Any) -> pa.Table:
    """Read what `dbt.ref` returns, a DuckDB relation, as an Arrow table.

    Arrow keeps decimals, dates and nullable integers as they are, which pandas does not. Models
    return Arrow tables as well, with an explicit schema.
    """
    return relation.to_arrow_table()

"""Classic additive hazard from delays of conversions and a histogram of all touches."""

from typing import Any

from tributary.relations import as_arrow
from tributary.survival import fit_survival_tables


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.survival."""
    return fit_survival_tables(
        as_arrow(dbt.ref("int_survival_delays")), as_arrow(dbt.ref("int_survival_exposure"))
    )

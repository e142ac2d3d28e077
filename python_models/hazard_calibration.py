"""The hazard model calibrated by lift tests."""

from typing import Any

from tributary.calibration import calibrate_totals
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per conversion type and channel; see tributary.calibration."""
    return calibrate_totals(
        as_arrow(dbt.ref("int_hazard_shared_totals")),
        as_arrow(dbt.ref("int_lift_tests")),
        as_arrow(dbt.ref("int_hazard_follow_ratios")),
        as_arrow(dbt.ref("int_channels")),
    )

"""What the ihc model is fitted from, and the seeds that its parameters become."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from tributary.ihc import PHASES, Curve, IhcParameters, Journeys, PhaseShares

Row = tuple[str | float, ...]

_NEGLIGIBLE = 0.005  # a channel factor this near to 1 is not written
_TOLERANCE = 0.001  # how far a curve may move by leaving out points

_JOURNEYS = """
    select
        source,
        conversion_id,
        touchpoint_id,
        touch_number,
        journey_length,
        min(trim(channel)) over (partition by lower(trim(channel))) as channel,
        (
            epoch_us(touched_at) - epoch_us(lag(touched_at) over (
                partition by source, conversion_id order by touch_number
            ))
        ) / 3600e6 as hours_since_previous,
        (epoch_us(converted_at) - epoch_us(touched_at)) / 3600e6 as hours_to_conversion,
        holder_engagement,
        closer_engagement
    from intermediate.int_named_journey_touchpoints
"""

_RESULTS = """
    select
        cast(conversion_id as varchar) as conversion_id,
        cast({touchpoint_id} as varchar) as touchpoint_id,
        cast(initializer as double) as initializer,
        cast(holder as double) as holder,
        cast(closer as double) as closer,
        cast(ihc as double) as ihc,
        count(*) over (partition by conversion_id) as touches
    from {read}($results)
"""

# Shares are published with four decimals, so a journey's may miss 1 by a little.
_WHOLE = """
    select journeys.*, initializer, holder, closer, ihc
    from journeys
    inner join results using (conversion_id, touchpoint_id)
    window journey as (partition by journeys.source, journeys.conversion_id)
    qualify
        count(*) over journey = journey_length
        and journey_length = touches
        and abs(sum(initializer) over journey - 1) < 0.01
        and abs(sum(closer) over journey - 1) < 0.01
        and abs(sum(ihc) over journey - 1) < 0.01
        and (sum(holder) over journey = 0 or abs(sum(holder) over journey - 1) < 0.01)
"""


def read_journeys(warehouse: duckdb.DuckDBPyConnection) -> Journeys:
    """Read the journeys of every source and conversion type from an open warehouse.

    Raises
    ------
    ValueError
        If the warehouse has no journeys.
    """
    return _journeys(_ordered(warehouse, f"with whole as ({_JOURNEYS})", {}))


def read_results(
    warehouse: duckdb.DuckDBPyConnection, results: Path
) -> tuple[Journeys, PhaseShares]:
    """Read observed phase shares, and the journeys they belong to, from an open warehouse.

    Parameters
    ----------
    warehouse
        Its journeys are those of `intermediate.int_named_journey_touchpoints`.
    results
        CSV or Parquet: conversion_id, touchpoint_id (or session_id), initializer, holder, closer
        and ihc. A journey is left out where the file has other touches for it than the warehouse,
        or shares of it that do not add up to 1 (holder may be empty).

    Raises
    ------
    ValueError
        If the file cannot be read, a column is missing, or no journey is left.
    """
    read = "read_parquet" if results.suffix.lower() == ".parquet" else "read_csv"
    try:
        described = warehouse.execute(
            f"describe select * from {read}($results)",  # noqa: S608 - one of two names
            {"results": str(results)},
        ).fetchall()
    except duckdb.Error as error:
        raise ValueError(f"Cannot read {results}: {str(error).splitlines()[0]}") from None
    columns = {row[0] for row in described}
    touchpoint_id = "touchpoint_id" if "touchpoint_id" in columns else "session_id"
    missing = sorted({"conversion_id", touchpoint_id, *PHASES, "ihc"} - columns)
    if missing:
        raise ValueError(f"{results} has no column {', '.join(missing)}.")
    read_results_sql = _RESULTS.format(touchpoint_id=touchpoint_id, read=read)
    table = _ordered(
        warehouse,
        f"with journeys as ({_JOURNEYS}), results as ({read_results_sql}), whole as ({_WHOLE})",
        {"results": str(results)},
    )
    shares = PhaseShares(*(table[name].to_numpy() for name in (*PHASES, "ihc")))
    return _journeys(table), shares


def seed_tables(parameters: IhcParameters) -> dict[str, tuple[tuple[str, ...], list[Row]]]:
    """Turn parameters into the seeds of the model: header and rows by name, rounded."""
    return {
        "ihc_curves": (
            ("phase", "hours", "membership"),
            [
                *_points("initializer", parameters.initializer),
                *_points("closer", parameters.closer),
            ],
        ),
        "ihc_phase_weights": (
            ("phase", "weight"),
            [(phase, round(parameters.phase_weights[phase], 4)) for phase in PHASES],
        ),
        "ihc_channel_factors": (
            ("phase", "channel", "factor"),
            [
                (phase, channel, round(factor, 4))
                for phase in PHASES
                for channel, factor in sorted(parameters.channel_factors.get(phase, {}).items())
                if abs(factor - 1) >= _NEGLIGIBLE
            ],
        ),
    }


def _points(phase: str, curve: Curve) -> list[Row]:
    hours, first = np.unique(curve.hours.round(4), return_index=True)
    rounded = Curve(hours, curve.memberships[first].round(4)).simplified(_TOLERANCE)
    return [
        (phase, hour, membership)
        for hour, membership in zip(
            rounded.hours.tolist(), rounded.memberships.tolist(), strict=True
        )
    ]


def _ordered(
    warehouse: duckdb.DuckDBPyConnection, whole: str, parameters: dict[str, str]
) -> pa.Table:
    try:
        table = warehouse.execute(
            f"{whole} select *, dense_rank() over (order by source, conversion_id) - 1 as number "  # noqa: S608 - this module's own
            "from whole order by number, touch_number",
            parameters,
        ).to_arrow_table()
    except duckdb.CatalogException:
        raise ValueError("The warehouse has no journeys yet. Make them with: dbt build") from None
    if not table.num_rows:
        raise ValueError(
            "No journey of the warehouse can be used: there is none, or none whose touches are "
            "those of the results."
        )
    return table


def _journeys(table: pa.Table) -> Journeys:
    channels, channel = np.unique(
        np.array(table["channel"].to_pylist(), dtype=np.str_), return_inverse=True
    )
    return Journeys(
        conversion=table["number"].to_numpy().astype(np.int64),
        channel=channel.astype(np.int64),
        channels=tuple(channels.tolist()),
        hours_since_previous=table["hours_since_previous"].to_numpy(),
        hours_to_conversion=table["hours_to_conversion"].to_numpy(),
        holder_engagement=table["holder_engagement"].to_numpy(),
        closer_engagement=table["closer_engagement"].to_numpy(),
    )

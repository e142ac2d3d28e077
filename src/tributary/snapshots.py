"""Read from a publication what `tributary.checks` compares; it reads marts and nothing else."""

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from tributary.checks import Snapshot, SourceRows, Subject
from tributary.report import UNATTRIBUTED

_CONVERSIONS = """
    select
        conversion_type,
        cast(converted_at as date) as date,
        count(*) as conversions,
        sum(touchpoint_count) as touchpoints,
        cast(sum(revenue) as double) as revenue,
        sum(case when is_attributed then 0 else 1 end) as unattributed
    from marts.fct_conversions
    group by all
"""

_CREDITS = """
    select
        conversion_type,
        channel,
        cast(converted_at as date) as date,
        sum(credit) as conversions
    from marts.fct_touchpoint_credits
    where attribution_model = $attribution_model
    group by all
"""

_MODELS = "select distinct attribution_model from marts.fct_touchpoint_credits order by all"

# Spend is repeated for every model and conversion type: any of them has all of it.
_SPEND = """
    select
        channel,
        date,
        cast(max(spend) as double) as spend
    from marts.rpt_channel_performance
    group by all
    having max(spend) != 0
"""

# Rejected are rows that are missing: not what was delivered again, superseded by a correction, or
# left out as was asked for.
_ROWS = """
    select
        source,
        entity,
        cast(
            sum(case when outcome in ('used', 'anonymised') then row_count else 0 end) as bigint
        ) as used,
        cast(
            sum(
                case
                    when severity in ('warn', 'error') and outcome != 'duplicate_id' then row_count
                    else 0
                end
            ) as bigint
        ) as rejected
    from marts.rpt_data_quality
    group by all
"""

# The shares there are of all touchpoints; where all have a channel, input rows stand for them.
_UNMAPPED = """
    select
        cast(coalesce(sum(touchpoints), 0) as bigint) as unmapped,
        cast(coalesce(
            round(max(touchpoints / share_of_touchpoints)),
            (
                select sum(row_count)
                from marts.rpt_data_quality
                where outcome in ('used', 'anonymised') and entity in ('sessions', 'calls')
            ),
            0
        ) as bigint) as touchpoints
    from marts.rpt_unmapped_traffic
"""


def credited_models(file: Path) -> list[str]:
    """Name the models by which a publication has credits."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return [model for (model,) in connection.execute(_MODELS).fetchall()]


def read_snapshot(
    file: Path, name: str, began: date, attribution_model: str, lag: int = 0
) -> Snapshot:
    """Read the daily series and row counts of a publication.

    Credits are taken on the day of their conversion, not of the touchpoint: the conversions that
    touchpoints of the last days will lead to have not come yet, so these days would always fall.

    Parameters
    ----------
    file
        The publication's DuckDB file.
    name
        Of the publication.
    began
        Day (UTC) on which its build began: that day was not over, and is left out with all later.
    attribution_model
        By which conversions are split among channels.
    lag
        How many further days are left out at the end, because data of them still come in.

    Raises
    ------
    ValueError
        If there are no credits of that model; the message names those that there are.
    duckdb.Error
        If the file cannot be read, or lacks a mart.
    """
    with duckdb.connect(str(file), read_only=True) as connection:
        models = [model for (model,) in connection.execute(_MODELS).fetchall()]
        if models and attribution_model not in models:
            raise ValueError(
                f"There are no credits of '{attribution_model}' in {name}, but of: "
                f"{', '.join(models)}."
            )
        by_subject = _daily_values(connection, attribution_model)
        rows = connection.execute(_ROWS).fetchall()
        ((unmapped, touchpoints),) = connection.execute(_UNMAPPED).fetchall()
    days = {day for values in by_subject.values() for day in values}
    first_day = min(days, default=began)
    end = min(max(days, default=began) + timedelta(days=1), began) - timedelta(days=lag)
    day_count = max((end - first_day).days, 0)
    series = {}
    for subject, values in by_subject.items():
        series[subject] = np.zeros(day_count)
        for day, value in values.items():
            if day < end:
                series[subject][(day - first_day).days] = value
    return Snapshot(
        name,
        first_day,
        day_count,
        series,
        {(source, entity): SourceRows(used, rejected) for source, entity, used, rejected in rows},
        unmapped,
        touchpoints,
    )


def _daily_values(
    connection: duckdb.DuckDBPyConnection, attribution_model: str
) -> dict[Subject, dict[date, float]]:
    """Read every series as its values by day, days without any left out."""
    values: dict[Subject, dict[date, float]] = defaultdict(dict)
    for kind, day, conversions, touchpoints, revenue, rest in _rows(connection, _CONVERSIONS):
        values[Subject("conversions", kind)][day] = float(conversions)
        values[Subject("touchpoints", kind)][day] = float(touchpoints)
        values[Subject("revenue", kind)][day] = float(revenue or 0)
        if rest:
            values[Subject("conversions", kind, UNATTRIBUTED)][day] = float(rest)
    model = {"attribution_model": attribution_model}
    for kind, channel, day, conversions in _rows(connection, _CREDITS, model):
        values[Subject("conversions", kind, channel)][day] = float(conversions)
    for channel, day, spend in _rows(connection, _SPEND):
        values[Subject("spend", channel=channel)][day] = float(spend)
        of_all = values[Subject("spend")]
        of_all[day] = of_all.get(day, 0.0) + float(spend)
    return values


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, str] | None = None
) -> list[tuple[Any, ...]]:
    """Run a query, its rows in an order of their own, so that sums are always added up alike."""
    return connection.execute(f"{query} order by all", parameters or {}).fetchall()

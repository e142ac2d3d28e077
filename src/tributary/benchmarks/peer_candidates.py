"""One candidate of the benchmark of peers, in a process of its own.

A process of its own tells the CPU time and peak memory of the candidate alone, and can be ended
when it takes too long. So nothing is imported here that a candidate does not need.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet

from tributary.benchmarks.peak_memory import peak_megabytes
from tributary.markov import channel_shares, removal_effects, transition_counts

TOUCHES = "touches.parquet"
"""One row per touch: journey, touch_number, channel, converted (whether the journey did)."""

PATHS = "paths.parquet"
"""One row per distinct path: path (channels with ` > ` between), conversions, nulls."""

RAW = "raw"
"""Folder of sessions_*.parquet and conversions.parquet as a source delivers them."""

SEPARATOR = " > "

LOOKBACK_DAYS = 90
"""Of the journeys that are made from raw files: the project's default."""

TRANSITIONS = """
with steps as (

    select
        journey,
        touch_number,
        channel as from_state,
        lead(channel, 1, case when converted then '(conversion)' else '(null)' end) over (
            partition by journey order by touch_number
        ) as to_state
    from touches

)

select from_state, to_state, count(*) as transitions from steps group by from_state, to_state
union all
select '(start)', from_state, count(*) from steps where touch_number = 1 group by from_state
"""

CHANNEL_SETS = """
with channel_sets as (

    select list_sort(list_distinct(list(channel))) as channel_set
    from touches
    where converted
    group by journey

),

counted as (

    select channel_set, count(*) as conversions from channel_sets group by channel_set

),

members as (

    select unnest(channel_set) as channel, conversions / len(channel_set) as credit from counted

)

select channel, sum(credit) from members group by channel
"""

Credits = dict[str, float]
"""Channel to conversions."""


@dataclass(frozen=True)
class Candidate:
    """A package's answer to an attribution model.

    Attributes
    ----------
    package
        Name of the distribution.
    module
        What it is imported as.
    model
        markov or shapley.
    settings
        How it is called, in words.
    prepare
        Reads the input from a folder into the form the package takes; not measured.
    attribute
        Gives the credits; measured.
    """

    package: str
    module: str
    model: str
    settings: str
    prepare: Callable[[Path], Any]
    attribute: Callable[[Any], Credits]


def _touches(folder: Path) -> Any:
    connection = duckdb.connect()
    connection.execute(f"create view touches as from read_parquet('{folder / TOUCHES}')")
    return connection


def _tributary_markov(connection: Any) -> Credits:
    steps = connection.sql(TRANSITIONS).fetchnumpy()
    counts = transition_counts(
        [(state,) for state in steps["from_state"]],
        steps["to_state"].tolist(),
        steps["transitions"],
        0 * steps["transitions"],
    )
    credits = channel_shares(removal_effects(counts).conversion) * counts.conversions.sum()
    return dict(zip(counts.channels, credits.tolist(), strict=True))


def _tributary_shapley(connection: Any) -> Credits:
    return dict(connection.sql(CHANNEL_SETS).fetchall())


def _paths(folder: Path) -> Any:
    return pyarrow.parquet.read_table(folder / PATHS).to_pandas()


def _channel_attribution_markov(paths: Any) -> Credits:
    result = import_module("ChannelAttribution").markov_model(
        paths, "path", "conversions", var_null="nulls", verbose=False, flg_pro=False
    )
    return dict(zip(result["channel_name"], result["total_conversions"].tolist(), strict=True))


def _grouped_paths(folder: Path) -> Any:
    """Distinct paths with their number, converted and open ones apart."""
    polars = import_module("polars")
    paths = polars.read_parquet(folder / PATHS)
    return polars.concat(
        [
            paths.select(
                "path",
                polars.lit(converted).alias("converted"),
                polars.col(count).alias("occurrences"),
            ).filter(polars.col("occurrences") > 0)
            for converted, count in ((True, "conversions"), (False, "nulls"))
        ]
    )


def _mam(paths: Any) -> Any:
    return import_module("mam").MAM(
        paths,
        format_type="grouped_journey",
        channels_colname="path",
        journey_with_conv_colname="converted",
        occurrences_colname="occurrences",
        path_separator=SEPARATOR,
    )


def _mam_markov(paths: Any) -> Credits:
    return dict(_mam(paths).run_markov().to_polars().iter_rows())


def _mam_shapley(paths: Any) -> Credits:
    return dict(_mam(paths).run_shapley().to_polars().iter_rows())


def _raw_files(folder: Path) -> Any:
    """Locate the raw sessions and conversions; reading them is measured."""
    return folder / RAW


def _pandas_credits(raw: Any) -> Credits:
    """Give linear credits, first and last touch beside them, as one writes it in pandas."""
    pandas = import_module("pandas")
    sessions = pandas.concat(
        pandas.read_parquet(file, columns=["session_id", "user_id", "started_at", "channel"])
        for file in sorted(raw.glob("sessions_*.parquet"))
    )
    conversions = pandas.read_parquet(
        raw / "conversions.parquet", columns=["conversion_id", "user_id", "converted_at"]
    )
    journeys = conversions.merge(sessions, on="user_id")
    age = journeys["converted_at"] - journeys["started_at"]
    is_within = (age > pandas.Timedelta(0)) & (age <= pandas.Timedelta(days=LOOKBACK_DAYS))
    journeys = journeys[is_within].sort_values(["conversion_id", "started_at", "session_id"])
    by_conversion = journeys.groupby("conversion_id", sort=False)
    place = by_conversion.cumcount()
    touches = by_conversion["session_id"].transform("size")
    journeys["first_touch"] = (place == 0).astype(float)
    journeys["last_touch"] = (place == touches - 1).astype(float)
    journeys["linear"] = 1 / touches
    totals = journeys.groupby("channel")[["first_touch", "last_touch", "linear"]].sum()
    return dict(zip(totals.index, totals["linear"].tolist(), strict=True))


CANDIDATES = (
    Candidate(
        "tributary",
        "tributary",
        "markov",
        "transition counts in DuckDB, removal effects from one inverse",
        _touches,
        _tributary_markov,
    ),
    Candidate(
        "ChannelAttribution",
        "ChannelAttribution",
        "markov",
        "`markov_model`, its defaults: order 1, simulation until its change is below 5 %",
        _paths,
        _channel_attribution_markov,
    ),
    Candidate(
        "marketing-attribution-models",
        "mam",
        "markov",
        "`run_markov()`, its defaults",
        _grouped_paths,
        _mam_markov,
    ),
    Candidate(
        "tributary",
        "tributary",
        "shapley",
        "closed form over distinct channel sets, in DuckDB",
        _touches,
        _tributary_shapley,
    ),
    Candidate(
        "marketing-attribution-models",
        "mam",
        "shapley",
        "`run_shapley()`, its defaults: the last 4 channels by name, conversion rates",
        _grouped_paths,
        _mam_shapley,
    ),
)

PANDAS = Candidate(
    "pandas",
    "pandas",
    "journeys and three rules",
    "merge, sort, group: journeys, first touch, last touch and linear from the raw files",
    _raw_files,
    _pandas_credits,
)

ALL_CANDIDATES = (*CANDIDATES, PANDAS)
"""Those of this benchmark, and what a build is compared with beside them."""


def measure(candidate: Candidate, folder: Path) -> dict[str, Any]:
    """Let a candidate attribute once; give its credits, seconds, memory and version."""
    import_module(candidate.module)
    prepared = candidate.prepare(folder)
    cpu, clock = time.process_time(), time.perf_counter()
    credits = candidate.attribute(prepared)
    return {
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - clock,
        "peak_megabytes": peak_megabytes(),
        "version": version(candidate.package),
        "credits": credits,
    }


if __name__ == "__main__":
    place, input_folder, result_file, most_seconds, most_bytes = sys.argv[1:]
    # CPU time, so that a busy machine fails nobody; the system ends who takes more.
    # The hard limit stays: past that one the system ends a process as it ends one out of memory.
    _, hard_limit = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(most_seconds), hard_limit))
    if int(most_bytes):
        resource.setrlimit(resource.RLIMIT_DATA, (int(most_bytes), int(most_bytes)))
    try:
        measured = measure(ALL_CANDIDATES[int(place)], Path(input_folder))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
    Path(result_file).write_text(json.dumps(measured))

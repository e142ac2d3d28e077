"""Beside the peers: credits, CPU time and memory of attribution packages on the same journeys.

Every candidate answers in a process of its own (`tributary.benchmarks.peer_candidates`). Ours is
checked against the definition of its model, worked out another way, and the others against ours.
"""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from tributary.benchmarks import peer_candidates
from tributary.benchmarks.peer_candidates import (
    ALL_CANDIDATES,
    CANDIDATES,
    PATHS,
    SEPARATOR,
    TOUCHES,
    Candidate,
    Credits,
)
from tributary.shapley import coalition_worth, shapley_of_game

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

LONGEST_JOURNEY = 20
TOUCHES_PER_JOURNEY = 3
MOST_ENUMERATED = 10
"""Up to this many channels our Shapley value is checked against all coalitions."""


@dataclass(frozen=True)
class Scenario:
    """How much there is to attribute: so many journeys over so many channels."""

    channels: int
    journeys: int

    def __str__(self) -> str:
        return f"{self.channels} channels, {self.journeys:,} journeys"


SCENARIOS = tuple(
    Scenario(channels, journeys)
    for channels in (10, 50, 500)
    for journeys in (10_000, 100_000, 1_000_000)
)
SMALL_SCENARIOS = (Scenario(10, 1_000),)


@dataclass(frozen=True)
class Journeys:
    """Random journeys.

    Attributes
    ----------
    channels
        Names of the n channels.
    begin
        Shape (journeys + 1,): where each journey's touches begin, and where the last one's end.
    touches
        Shape (touches,): place in `channels` of each touch, journey by journey, in order of time.
    converted
        Shape (journeys,): whether the journey converted.
    """

    channels: tuple[str, ...]
    begin: IntArray
    touches: IntArray
    converted: BoolArray


@dataclass(frozen=True)
class Measurement:
    """What a candidate did with a scenario.

    Attributes
    ----------
    scenario, candidate
        Which.
    failure
        Why there is no result; empty where there is one, and only then the rest is known.
    version
        Of the package.
    cpu_seconds, seconds
        Time of all threads, and on the clock. Without imports and reading the peers' input.
    peak_megabytes
        Largest memory of the process, imports and input included; 10^6 bytes.
    largest_difference, total_difference
        Of the channels' credits from the reference, in conversions: the largest, and the sum. The
        reference is the model's definition for us, and our credits for the others.
    conversions
        How many there were to attribute.
    """

    scenario: Scenario
    candidate: Candidate
    failure: str = ""
    version: str = ""
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    peak_megabytes: float = 0.0
    largest_difference: float = 0.0
    total_difference: float = 0.0
    conversions: int = 0


def random_journeys(scenario: Scenario, seed: int) -> Journeys:
    """Draw journeys: channels of unequal size and effect, 1 to 20 touches, 3 on average."""
    rng = np.random.default_rng([seed, scenario.channels, scenario.journeys])
    n = scenario.channels
    popularity = 1 / np.arange(1, n + 1)
    effect = rng.gamma(1.0, 0.03, n)
    lengths = np.minimum(rng.geometric(1 / TOUCHES_PER_JOURNEY, scenario.journeys), LONGEST_JOURNEY)
    begin = np.concatenate([[0], np.cumsum(lengths)])
    touches = rng.choice(n, size=begin[-1], p=popularity / popularity.sum())
    hazard: FloatArray = np.add.reduceat(effect[touches], begin[:-1])
    return Journeys(
        channels=tuple(f"c{index:03}" for index in range(n)),
        begin=begin,
        touches=touches,
        converted=rng.random(scenario.journeys) < 1 - np.exp(-hazard),
    )


def exact_markov(journeys: Journeys) -> FloatArray:
    """Markov credits by the definition: a channel is removed, the chain is solved again."""
    n = len(journeys.channels)
    first, last = journeys.begin[:-1], journeys.begin[1:] - 1
    inner = np.delete(np.arange(len(journeys.touches)), last)
    steps = np.zeros((n, n))
    np.add.at(steps, (journeys.touches[inner], journeys.touches[inner + 1]), 1)
    starts = np.bincount(journeys.touches[first], minlength=n) / len(first)
    ends = journeys.touches[last]
    leaving = np.maximum(np.bincount(journeys.touches, minlength=n), 1)
    converting = np.bincount(ends[journeys.converted], minlength=n) / leaving

    def probability(present: IntArray) -> float:
        inside = np.eye(len(present)) - (steps / leaving[:, None])[np.ix_(present, present)]
        return float(starts[present] @ np.linalg.solve(inside, converting[present]))

    everybody = np.arange(n)
    whole = probability(everybody)
    lost = whole - np.array([probability(np.delete(everybody, index)) for index in everybody])
    credits: FloatArray = lost / lost.sum() * journeys.converted.sum()
    return credits


def exact_shapley(journeys: Journeys) -> FloatArray:
    """Shapley values of contained sets: over all coalitions, or journey by journey where many."""
    n = len(journeys.channels)
    numbers = np.repeat(np.arange(len(journeys.converted)), np.diff(journeys.begin))
    kept = journeys.converted[numbers]
    touched = np.unique(numbers[kept] * n + journeys.touches[kept])
    journey, channel = np.divmod(touched, n)
    if n <= MOST_ENUMERATED:
        members = np.zeros((len(journeys.converted), n), dtype=bool)
        members[journey, channel] = True
        sets, counts = np.unique(members[journeys.converted], axis=0, return_counts=True)
        players = journeys.channels
        return shapley_of_game(
            coalition_worth(
                [[players[index] for index in np.flatnonzero(each)] for each in sets],
                counts.tolist(),
                players,
            )
        )
    sizes = np.bincount(journey)
    return np.bincount(channel, weights=1.0 / sizes[journey], minlength=n).astype(np.float64)


EXACT = {"markov": exact_markov, "shapley": exact_shapley}


def write_input(journeys: Journeys, folder: Path) -> None:
    """Write the journeys as touches, and as path strings for the peers."""
    lengths = np.diff(journeys.begin)
    touches = pa.table(
        {
            "journey": np.repeat(np.arange(len(lengths)), lengths),
            "touch_number": np.arange(len(journeys.touches))
            - np.repeat(journeys.begin[:-1], lengths)
            + 1,
            "channel": pa.array(journeys.channels).take(pa.array(journeys.touches)),
            "converted": np.repeat(journeys.converted, lengths),
        }
    )
    pyarrow.parquet.write_table(touches, folder / TOUCHES)
    with duckdb.connect() as connection:
        paths = connection.execute(
            """
            with paths as (
                select
                    string_agg(channel, ?::varchar order by touch_number) as path,
                    any_value(converted) as converted
                from touches
                group by journey
            )

            select
                path,
                count(*) filter (converted) as conversions,
                count(*) filter (not converted) as nulls
            from paths
            group by path
            order by path
            """,
            [SEPARATOR],
        ).to_arrow_table()
    pyarrow.parquet.write_table(paths, folder / PATHS)


def run(
    scenarios: Sequence[Scenario],
    seed: int,
    time_limit: int,
    tell: Callable[[str], None] = lambda doing: None,
) -> Iterator[Measurement]:
    """Measure every candidate on every scenario.

    Parameters
    ----------
    scenarios
        How much there is to attribute.
    seed
        Of the journeys.
    time_limit
        CPU seconds after which a candidate is ended, imports and reading its input included.
    tell
        Called with what is being done.
    """
    for scenario in scenarios:
        tell(f"{scenario}: making journeys")
        journeys = random_journeys(scenario, seed)
        # Ours comes first of each model; the others are compared with it.
        reference = {
            model: dict(zip(journeys.channels, solve(journeys).tolist(), strict=True))
            for model, solve in EXACT.items()
        }
        with TemporaryDirectory() as name:
            folder = Path(name)
            write_input(journeys, folder)
            for place, candidate in enumerate(CANDIDATES):
                tell(f"{scenario}: {candidate.package}, {candidate.model}")
                answer = answer_of(place, folder, time_limit)
                if isinstance(answer, str):
                    yield Measurement(scenario, candidate, failure=answer)
                    continue
                credits: Credits = answer.pop("credits")
                differences = [
                    abs(credits.get(channel, 0.0) - credit)
                    for channel, credit in reference[candidate.model].items()
                ]
                if candidate.module == "tributary":
                    reference[candidate.model] = credits
                yield Measurement(
                    scenario,
                    candidate,
                    **answer,
                    largest_difference=max(differences),
                    total_difference=sum(differences),
                    conversions=int(journeys.converted.sum()),
                )


def answer_of(
    place: int, folder: Path, time_limit: int, memory_limit: int = 0
) -> dict[str, Any] | str:
    """Let a candidate answer in a process of its own, or say why it does not.

    Parameters
    ----------
    place
        Of the candidate in `ALL_CANDIDATES`.
    folder
        With its input.
    time_limit
        CPU seconds after which it is ended.
    memory_limit
        Bytes of data that it may hold; 0 for any number.
    """
    if find_spec(ALL_CANDIDATES[place].module) is None:
        return NOT_INSTALLED
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    arguments = [str(place), str(folder), str(result), str(time_limit), str(memory_limit)]
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", peer_candidates.__name__, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGXCPU:
        return f"over {time_limit} s"
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return f"failed: {reason}"
    answer: dict[str, Any] = json.loads(result.read_text())
    return answer


NOT_INSTALLED = "not installed"

HEADINGS = (
    "Channels",
    "Journeys",
    "Model",
    "Package",
    "CPU s",
    "Peak MB",
    "Largest difference",
    "Total difference",
)


def _cells(measurement: Measurement) -> tuple[str, ...]:
    scenario, candidate = measurement.scenario, measurement.candidate
    name = (f"{scenario.channels}", f"{scenario.journeys:,}", candidate.model, candidate.package)
    if measurement.failure:
        return (*name, measurement.failure, "", "", "")
    total = measurement.total_difference / max(1, measurement.conversions)
    return (
        *name,
        f"{measurement.cpu_seconds:.2f}",
        f"{measurement.peak_megabytes:,.0f}",
        _readable(measurement.largest_difference, "{:,.1f}"),
        _readable(total, "{:.2%}"),
    )


def _readable(difference: float, form: str) -> str:
    """Show what is no more than rounding as a power of 10."""
    return f"{difference:.0e}" if difference < 1e-6 else form.format(difference)


def result_table(measurements: Sequence[Measurement]) -> Table:
    """Show measurements on a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        text = heading in ("Model", "Package")
        table.add_column(heading, justify="left" if text else "right", no_wrap=not text)
    for place, measurement in enumerate(measurements):
        if place and measurement.scenario != measurements[place - 1].scenario:
            table.add_section()
        table.add_row(*_cells(measurement))
    return table


def machine() -> str:
    """Tell what the measurement ran on, without names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB of memory, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def page(measurements: Sequence[Measurement], command: str, picture_name: str, today: date) -> str:
    """Write the result page, Markdown."""
    versions = {each.candidate.package: each.version for each in measurements if each.version}
    calls = [
        f"- **{candidate.package}** {versions.get(candidate.package, '(not measured)')}, "
        f"{candidate.model}: {candidate.settings}."
        for candidate in CANDIDATES
    ]
    table = [
        "| " + " | ".join(HEADINGS) + " |",
        "|--:|--:|---|---|--:|--:|--:|--:|",
        *("| " + " | ".join(_cells(measurement)) + " |" for measurement in measurements),
    ]
    return "\n".join(
        [
            "# Beside the peers",
            "",
            f"Measured on {today} on {machine()}, with",
            "",
            "```",
            command,
            "```",
            "",
            f"![CPU seconds by journeys]({picture_name})",
            "",
            *table,
            "",
            _HOW_TO_READ.strip(),
            "",
            "What was called:",
            "",
            *calls,
            "",
        ]
    )


_HOW_TO_READ = f"""
**Largest difference**: of one channel's credit, in conversions. **Total difference**: the sum over
the channels, as a share of all conversions. For tributary it is the difference from the definition
of the model, worked out another way: for Markov one linear system per removed channel; for Shapley
all coalitions (with more than {MOST_ENUMERATED} channels: journey by journey). For the others it
is the difference from tributary.

**CPU s**: of all threads, for the work alone; imports do not count. Tributary starts from a Parquet
file of touches, counts its journeys in DuckDB and then solves. The peers start from a data frame in
memory that already holds distinct path strings and their counts: that is not in their time. **Peak
MB**: largest memory of the process, in millions of bytes, with its imports and its input. One run
each, every one in a process of its own.

What is compared is not the same everywhere, and tells nothing about who is right in the world:

- The Markov candidates aim at one thing, the removal effects of a chain of order 1.
  ChannelAttribution estimates them by simulation; it also fits higher orders, which this does not
  measure. The removal effects of marketing-attribution-models are ours to the last digits; but it
  then shares every journey by them among its touches, so that its totals are another model's.
- The Shapley candidates do not aim at one thing. marketing-attribution-models by default cuts
  a journey's set to its last four channels by name, takes the conversion rates of sets (not of
  their subsets) as worth, and rescales. The difference is one of definition more than of error.
- The journeys are random: {TOUCHES_PER_JOURNEY} touches on average, at most {LONGEST_JOURNEY},
  over channels of unequal size and effect. Nothing here tells how near a model is to causal truth.
"""


def picture(measurements: Sequence[Measurement]) -> Figure:
    """Draw CPU seconds by journeys, one panel per number of channels and model."""
    models = list(dict.fromkeys(candidate.model for candidate in CANDIDATES))
    packages = list(dict.fromkeys(candidate.package for candidate in CANDIDATES))
    channels = sorted({each.scenario.channels for each in measurements})
    figure = Figure(figsize=(3.2 * len(channels) + 0.8, 5.6), layout="constrained")
    panels = figure.subplots(len(models), len(channels), squeeze=False, sharex=True, sharey=True)
    for row, model in enumerate(models):
        for column, number in enumerate(channels):
            panel = panels[row, column]
            for place, package in enumerate(packages):
                # A line has a gap where there is no result.
                points = [
                    (each.scenario.journeys, np.nan if each.failure else each.cpu_seconds)
                    for each in measurements
                    if (each.candidate.model, each.candidate.package, each.scenario.channels)
                    == (model, package, number)
                ]
                if points:
                    panel.plot(
                        *zip(*points, strict=True),
                        color=f"C{place}",
                        marker="os^"[place],
                        label=package,
                    )
            panel.set(xscale="log", yscale="log", title=f"{model}, {number} channels")
            panel.grid(alpha=0.3)
    for panel in panels[-1]:
        panel.set_xlabel("journeys")
    for panel in panels[:, 0]:
        panel.set_ylabel("CPU seconds")
    panels[0, 0].legend(fontsize="small")
    return figure

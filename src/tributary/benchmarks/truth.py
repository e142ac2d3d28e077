"""How close each attribution model comes to what channels truly caused.

Markets are simulated whose truth is known (`tributary.benchmarks.regimes`), the real warehouse is
built from their files, and every model that it publishes is scored against the truth.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet

from tributary.benchmarks.regimes import REGIMES
from tributary.benchmarks.warehouse import BenchmarkError, build_warehouse
from tributary.simulation import BASELINE, Market, simulate

FloatArray = npt.NDArray[np.float64]
Row = dict[str, Any]

ALL_REGIMES = ",".join(REGIMES)

UNIFORM_GUESS = "(uniform guess)"
"""The model that gives every channel the same, against which the others are read."""

CONVERSION_TYPE = "purchase"
FIRST_RESULT_SEED = 1_000
"""Seeds below are for development; result pages use seeds from here on, which no model has seen."""

SMALL_PEOPLE = 4_000
HOLDOUT_SHARE = 0.1

_CODE = ("models", "python_models", "macros", "seeds", "src/tributary")


@dataclass(frozen=True)
class Cell:
    """One regime with one seed: the truth, and what the warehouse says.

    Attributes
    ----------
    regime, seed
        Which one.
    truth
        Rows of `tributary.simulation.Simulation.truth`.
    credits
        Rows of `marts.rpt_channel_attribution`.
    """

    regime: str
    seed: int
    truth: list[Row]
    credits: list[Row]


@dataclass(frozen=True)
class Score:
    """How one model did in one cell.

    Attributes
    ----------
    regime, seed, model
        Who and where.
    accuracy
        Attribution accuracy, in [0, 1].
    rank_correlation
        Spearman's rank correlation of true and credited conversions of the channels, in [-1, 1].
    baseline_error
        Share of all conversions that the model gives to no channel, minus the true share.
    idle_share
        Share of the channels' credit that goes to channels without effect; None where all have one.
    intervals, covered
        How many channels have a 95 % interval, and how many of these hold the true conversions.
    predicted_accuracy
        What the model itself expects its accuracy to be; None where it does not say.
    """

    regime: str
    seed: int
    model: str
    accuracy: float
    rank_correlation: float
    baseline_error: float | None
    idle_share: float | None
    intervals: int
    covered: int
    predicted_accuracy: float | None


@dataclass(frozen=True)
class Summary:
    """The scores of one model in one regime over all seeds.

    `coverage` is over all channels and seeds with intervals; `spread` is the standard deviation of
    the accuracy between seeds, None for one seed. What no score has is None.
    """

    regime: str
    model: str
    seeds: int
    accuracy: float
    spread: float | None
    rank_correlation: float
    baseline_error: float | None
    idle_share: float | None
    coverage: float | None
    intervals: int
    predicted_accuracy: float | None


def attribution_accuracy(true: FloatArray, credited: FloatArray) -> float:
    """One minus the total variation distance between true and credited shares.

    Parameters
    ----------
    true, credited
        Conversions of each channel without the baseline, shape (channels,). Negative values count
        as nothing; each array is divided by its sum.

    Returns
    -------
    float
        1 if the shares are equal, 0 if they have no channel in common or one of them is empty. It
        is the share of the credit that goes where it belongs.
    """
    true, credited = np.maximum(true, 0), np.maximum(credited, 0)
    if not true.sum() or not credited.sum():
        return 0.0
    return float(np.minimum(true / true.sum(), credited / credited.sum()).sum())


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's rank correlation; equal values share their mean rank.

    Parameters
    ----------
    first, second
        Values, shape (n,).

    Returns
    -------
    float
        In [-1, 1]; 0 where one of the arrays is constant or has less than two values.
    """
    a, b = (_mean_ranks(values) - (len(values) - 1) / 2 for values in (first, second))
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else 0.0


def _mean_ranks(values: FloatArray) -> FloatArray:
    """Rank from 0, ties at the mean of the ranks they take up."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (counts.cumsum() - (counts + 1) / 2)[group]
    return ranks


def expected_accuracy(credited: FloatArray, std_error: FloatArray) -> float:
    """Accuracy that a model expects of itself, given its standard errors.

    With independent normal errors the expected distance of a share is its standard error times
    sqrt(2 / pi), and the total variation distance is half of the sum.

    Parameters
    ----------
    credited, std_error
        Credited conversions of each channel and their standard errors, shape (channels,).

    Returns
    -------
    float
        In [0, 1]; 0 where nothing is credited.
    """
    total = credited.sum()
    if not total > 0:
        return 0.0
    return float(max(0.0, 1 - np.sqrt(2 / np.pi) * std_error.sum() / total / 2))


def score(cell: Cell) -> list[Score]:
    """Score every model of a cell, and the uniform guess.

    Credit for behaviour (direct visits), for `(baseline)` and for conversions without a touchpoint
    is the model's baseline. Channels without a row have no credit.

    Parameters
    ----------
    cell
        Truth and credits.

    Returns
    -------
    list of Score
        In the order of the models' names, the uniform guess last.
    """
    truth = {row["channel"]: row for row in cell.truth}
    channels = [name for name, row in truth.items() if row["kind"] == "channel"]
    true = np.array([truth[name]["true_conversions"] for name in channels])
    true_baseline = truth[BASELINE]["true_share"]
    is_idle = true == 0

    scores = []
    rows = [row for row in cell.credits if row["conversion_type"] == CONVERSION_TYPE]
    for model in sorted({row["attribution_model"] for row in rows}):
        by_channel = {row["channel"]: row for row in rows if row["attribution_model"] == model}
        total = sum(row["conversions"] for row in by_channel.values())
        credited = _column(by_channel, channels, "conversions", 0.0)
        std_error = _column(by_channel, channels, "std_error", np.nan)
        low = _column(by_channel, channels, "conversions_low", np.nan)
        high = _column(by_channel, channels, "conversions_high", np.nan)
        has_interval = ~np.isnan(low) & ~np.isnan(high)
        # A bound of 0 holds a truth of 0, also where a model rounds.
        is_covered = has_interval & (low <= true + 1e-9) & (true <= high + 1e-9)
        scores.append(
            Score(
                cell.regime,
                cell.seed,
                model,
                accuracy=attribution_accuracy(true, credited),
                rank_correlation=rank_correlation(true, credited),
                baseline_error=1 - credited.sum() / total - true_baseline if total else None,
                idle_share=_idle_share(credited, is_idle),
                intervals=int(has_interval.sum()),
                covered=int(is_covered.sum()),
                predicted_accuracy=(
                    None if np.isnan(std_error).any() else expected_accuracy(credited, std_error)
                ),
            )
        )
    uniform = np.ones(len(channels))
    scores.append(
        Score(
            cell.regime,
            cell.seed,
            UNIFORM_GUESS,
            accuracy=attribution_accuracy(true, uniform),
            rank_correlation=0.0,
            baseline_error=None,
            idle_share=_idle_share(uniform, is_idle),
            intervals=0,
            covered=0,
            predicted_accuracy=None,
        )
    )
    return scores


def _column(
    by_channel: Mapping[str, Row], channels: Sequence[str], name: str, missing: float
) -> FloatArray:
    values = [by_channel.get(channel, {}).get(name) for channel in channels]
    return np.array([missing if value is None else float(value) for value in values])


def _idle_share(credited: FloatArray, is_idle: npt.NDArray[np.bool_]) -> float | None:
    if not is_idle.any() or not credited.sum() > 0:
        return None
    return float(credited[is_idle].sum() / credited.sum())


def summarise(scores: Iterable[Score]) -> list[Summary]:
    """Average the scores of each model and regime over the seeds.

    Parameters
    ----------
    scores
        Scores in any order.

    Returns
    -------
    list of Summary
        Regimes in the order of `REGIMES`; within one the most accurate model first.
    """
    groups: dict[tuple[str, str], list[Score]] = {}
    for each in scores:
        groups.setdefault((each.regime, each.model), []).append(each)
    order = list(REGIMES)
    summaries = []
    for (regime, model), group in groups.items():
        accuracy = np.array([each.accuracy for each in group])
        intervals = sum(each.intervals for each in group)
        covered = sum(each.covered for each in group)
        summaries.append(
            Summary(
                regime,
                model,
                seeds=len(group),
                accuracy=float(accuracy.mean()),
                spread=float(accuracy.std(ddof=1)) if len(group) > 1 else None,
                rank_correlation=float(np.mean([each.rank_correlation for each in group])),
                baseline_error=_mean(each.baseline_error for each in group),
                idle_share=_mean(each.idle_share for each in group),
                coverage=covered / intervals if intervals else None,
                intervals=intervals,
                predicted_accuracy=_mean(each.predicted_accuracy for each in group),
            )
        )
    return sorted(
        summaries, key=lambda each: (order.index(each.regime), -each.accuracy, each.model)
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    regimes
        Names of regimes, as in `REGIMES`.
    seeds
        Seeds, each at least 0.
    people
        People per market; None for as many as the regime has.
    with_holdouts
        Whether every channel is withheld from a tenth of the people, another tenth for each, and
        what that showed is given to the warehouse as `experiments`.
    """

    regimes: tuple[str, ...] = tuple(REGIMES)
    seeds: tuple[int, ...] = (1, 2, 3)
    people: int | None = None
    with_holdouts: bool = False

    def __post_init__(self) -> None:
        """Check the names and numbers.

        Raises
        ------
        ValueError
            If a regime is unknown, or there is no regime or seed.
        """
        for name in self.regimes:
            if name not in REGIMES:
                raise ValueError(f"There is no regime {name}. There are: {', '.join(REGIMES)}.")
        if not self.regimes or not self.seeds:
            raise ValueError("At least one regime and one seed are needed.")

    def market(self, regime: str) -> Market:
        """Give the market of a regime, as large and as tested as planned."""
        market = REGIMES[regime].market
        if self.people is not None:
            market = replace(market, people=self.people)
        if self.with_holdouts:
            tested = tuple(each.name for each in market.channels if not each.is_behaviour)
            market = replace(market, tested=tested, holdout_share=HOLDOUT_SHARE)
        return market

    @property
    def seed_ranges(self) -> str:
        """The seeds as `plan` reads them: those that follow each other as a range."""
        ranges: list[list[int]] = []
        for seed in self.seeds:
            if ranges and seed == ranges[-1][-1] + 1:
                ranges[-1].append(seed)
            else:
                ranges.append([seed])
        return ",".join(
            f"{each[0]}-{each[-1]}" if len(each) > 1 else str(each[0]) for each in ranges
        )

    def command(self, output: Path) -> str:
        """Give the command line that runs this plan and writes a page."""
        parts = ["tributary benchmark truth"]
        if self.regimes != tuple(REGIMES):
            parts.append(f"--regimes {','.join(self.regimes)}")
        parts.append(f"--seeds {self.seed_ranges}")
        if self.people is not None:
            parts.append(f"--people {self.people}")
        if self.with_holdouts:
            parts.append("--holdouts")
        return " ".join([*parts, f"--output {output}"])


def plan(
    regimes: str,
    seeds: str,
    people: int | None = None,
    *,
    with_holdouts: bool = False,
    is_small: bool = False,
) -> Plan:
    """Read a plan from what was typed.

    Parameters
    ----------
    regimes
        Names, separated by commas.
    seeds
        Numbers and ranges, separated by commas, such as 1-3,7.
    people, with_holdouts
        As in `Plan`.
    is_small
        Take the first seed alone and, where people are not given, few of them.

    Returns
    -------
    Plan
        Every seed once, in the order given.

    Raises
    ------
    ValueError
        If a name is unknown or a seed is no number.
    """
    numbers: list[int] = []
    for part in seeds.split(","):
        bounds = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if bounds is None:
            raise ValueError(f"{part!r} is neither a seed nor a range of seeds such as 1-3.")
        first, last = bounds.groups()
        numbers += range(int(first), int(last or first) + 1)
    chosen = tuple(dict.fromkeys(numbers))
    if is_small:
        chosen = chosen[:1]
        people = SMALL_PEOPLE if people is None else people
    names = tuple(dict.fromkeys(name.strip() for name in regimes.split(",")))
    return Plan(names, chosen, people, with_holdouts)


def run(
    plan: Plan,
    project: Path,
    work: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> Iterator[Cell]:
    """Run every regime with every seed, or read what an earlier run left behind.

    Parameters
    ----------
    plan
        What to run.
    project
        Folder of the dbt project.
    work
        Folder where each finished cell is kept, under a name that changes with the market and with
        the project's code: what is interrupted resumes, what has changed is run again.
    progress
        Called with a few words at the beginning of each step.

    Yields
    ------
    Cell
        Regime by regime, seed by seed.

    Raises
    ------
    BenchmarkError
        If the folder is no project or a build fails.
    """
    if not (project / "dbt_project.yml").is_file():
        raise BenchmarkError(
            f"There is no dbt project in {project.absolute()}. Run this in Tributary's folder."
        )
    work.mkdir(parents=True, exist_ok=True)
    code = _code_fingerprint(project)
    with TemporaryDirectory(prefix="tributary_truth_") as scratch:
        for regime in plan.regimes:
            market = plan.market(regime)
            key = hashlib.sha256((code + repr(market)).encode()).hexdigest()[:16]
            for seed in plan.seeds:
                kept = work / f"{regime}-{seed}-{key}.json"
                if not kept.is_file():
                    content = _run_cell(
                        market, seed, project, Path(scratch), f"{regime}, seed {seed}", progress
                    )
                    unfinished = kept.with_suffix(".unfinished")
                    unfinished.write_text(json.dumps(content))
                    unfinished.replace(kept)
                yield Cell(regime, seed, **json.loads(kept.read_text()))


def _code_fingerprint(project: Path) -> str:
    """Hash everything that the warehouse is built from: all but the command line and this."""
    digest = hashlib.sha256()
    files = [project / "dbt_project.yml"]
    for folder in _CODE:
        files += sorted(each for each in (project / folder).rglob("*.*") if each.is_file())
    for file in files:
        name = file.relative_to(project)
        is_used = not {"benchmarks", "cli"} & {*name.parts}
        if is_used and file.suffix in {".sql", ".py", ".csv", ".yml"}:
            digest.update(str(name).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _run_cell(
    market: Market,
    seed: int,
    project: Path,
    scratch: Path,
    name: str,
    progress: Callable[[str], None],
) -> dict[str, list[Row]]:
    """Simulate, build the warehouse and read what it says."""
    progress(f"{name}: simulating")
    simulation = simulate(market, seed)
    files = scratch / "files"
    files.mkdir(exist_ok=True)
    tables = {
        "sessions": simulation.sessions,
        "conversions": simulation.conversions,
        "spend": simulation.spend,
    }
    if market.tested:
        tables["experiments"] = simulation.experiments
    for entity, table in tables.items():
        pyarrow.parquet.write_table(table, files / f"{entity}.parquet")

    progress(f"{name}: building the warehouse")
    warehouse = scratch / "truth.duckdb"
    build_warehouse(project, scratch, files, warehouse, "+rpt_channel_attribution")
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        credits = connection.sql("select * from marts.rpt_channel_attribution order by all")
        rows = credits.to_arrow_table().to_pylist()
    return {
        "truth": simulation.truth.to_pylist(),
        "credits": [{name: _plain(value) for name, value in row.items()} for row in rows],
    }


def _plain(value: object) -> object:
    """Turn a value into one that JSON has."""
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)

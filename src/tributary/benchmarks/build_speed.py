"""How fast the whole build is: stage by stage, at several sizes, beside the floor of each stage."""

import csv
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import duckdb
import numpy as np
import yaml

from tributary.benchmarks.floors import FloorCost, run_floors, write_journeys
from tributary.benchmarks.peer_candidates import ALL_CANDIDATES, LOOKBACK_DAYS, Candidate
from tributary.benchmarks.peers import answer_of
from tributary.benchmarks.process_tree import Usage
from tributary.benchmarks.warehouse import BenchmarkError, Cost, run_build
from tributary.market_files import market_of, write_market
from tributary.timings import TEST_KINDS, Timing, read_timings, shares_of_moments

TOUCHES_PER_PERSON = 7.9
"""Of the demo's market in its 90 days."""

ALL_MODELS = "all"
TARGET_MODELS = "target"
LEFT_OUT = ("ihc", "survival", "data_driven")
"""Attribution models that the targets of speed leave out; every other one is enabled."""

START_UP = "start-up of dbt"
BETWEEN = "dbt between nodes"
OTHER_MODELS = "ihc, survival, data-driven"
STAGES = (
    START_UP,
    "seeds and settings",
    "reading",
    "touchpoints",
    "journeys",
    "transition counts",
    "channel sets",
    "path lists",
    "credits",
    "hazard aggregates",
    "channel totals",
    "Python models",
    OTHER_MODELS,
    "marts",
    "tests",
    BETWEEN,
)
"""In the order of the page. The first and the last are what dbt itself takes."""

_STAGE_OF_NAME = {
    "int_channel_sets": "channel sets",
    "int_paths": "path lists",
    "rpt_path_summary": "path lists",
    "int_ihc_memberships": OTHER_MODELS,
    "int_ihc_credits": OTHER_MODELS,
    "data_driven": OTHER_MODELS,
    "survival": OTHER_MODELS,
    "int_data_driven_channel_totals": OTHER_MODELS,
    "int_data_driven_diagnostics": OTHER_MODELS,
}
_STAGE_OF_LAYER = {
    "staging": "reading",
    "intermediate/unified": "reading",
    "intermediate/quality": "reading",
    "intermediate/identity": "touchpoints",
    "intermediate/channels": "touchpoints",
    "intermediate/conversions": "touchpoints",
    "intermediate/changes": "journeys",
    "intermediate/journeys": "journeys",
    "intermediate/aggregates": "transition counts",
    "intermediate/credits": "credits",
    "intermediate/hazard": "hazard aggregates",
    "intermediate/survival": OTHER_MODELS,
    "intermediate/person_days": OTHER_MODELS,
    "intermediate/channel_totals": "channel totals",
    "python_models": "Python models",
    "marts": "marts",
}


def stage_of(timing: Timing) -> str:
    """Tell which stage a node belongs to: by its kind, its name, or the folder it lies in."""
    if timing.kind in TEST_KINDS:
        return "tests"
    if timing.kind != "model":
        return "seeds and settings"
    if timing.name in _STAGE_OF_NAME:
        return _STAGE_OF_NAME[timing.name]
    for layer, stage in _STAGE_OF_LAYER.items():
        if timing.layer == layer or timing.layer.startswith(f"{layer}/"):
            return stage
    return "marts"


@dataclass(frozen=True)
class StageCost:
    """What a stage took. Seconds and bytes of what ran side by side are shared.

    Attributes
    ----------
    stage
        One of `STAGES`.
    nodes
        How many nodes of dbt it has.
    wall_seconds, cpu_seconds, written_bytes
        Its part; those of all stages add up to the run.
    peak_bytes
        Most memory of all processes while a node of the stage ran, alone or beside others.
    floor
        Its floor, where it has one.
    """

    stage: str
    nodes: int
    wall_seconds: float
    cpu_seconds: float
    written_bytes: float
    peak_bytes: float
    floor: FloorCost | None = None


@dataclass(frozen=True)
class NodeCost:
    """What a node took: its part of the clock and of the CPU time."""

    timing: Timing
    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class PeerCost:
    """What a package took for the same journeys, or why it gave no answer.

    Seconds without imports and, but for pandas, without reading its input.
    """

    candidate: Candidate
    failure: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: float = 0.0


@dataclass(frozen=True)
class SizeResult:
    """What a build of one size took.

    Attributes
    ----------
    touchpoints, conversions
        Rows delivered.
    failure
        Why there is no result, or empty; only then the rest is known.
    cost
        Of the whole run.
    stages
        Those that have a node, in the order of `STAGES`.
    nodes
        The longest first, by CPU time.
    floors
        All of them, also what is shown beside them.
    peers
        What packages took on the same journeys.
    warehouse_bytes
        Size of the warehouse's file.
    """

    touchpoints: int
    conversions: int
    failure: str = ""
    cost: Cost | None = None
    stages: tuple[StageCost, ...] = ()
    nodes: tuple[NodeCost, ...] = ()
    floors: tuple[FloorCost, ...] = ()
    peers: tuple[PeerCost, ...] = ()
    warehouse_bytes: int = 0

    @property
    def beyond_start_up(self) -> float:
        """Seconds on the clock from the first node on."""
        return sum(each.wall_seconds for each in self.stages if each.stage != START_UP)


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes
    ----------
    sizes
        About how many touchpoints.
    channels
        How many there are.
    models
        `all`, `target` (all but `LEFT_OUT`), or names of attribution models.
    select
        What dbt builds, as it selects it; empty for everything, data tests included.
    memory_limit
        Of DuckDB, such as 8GB; it spills to disk beyond.
    spill
        Folder that DuckDB spills to; none for one beside the warehouse.
    threads
        Of dbt and of DuckDB; none for those of the project's profile.
    seed
        Of the market.
    peer_seconds
        CPU seconds after which a package is ended; 0 to measure none.
    peer_bytes
        Memory that a package may hold.
    """

    sizes: tuple[int, ...]
    channels: int = 30
    models: str = TARGET_MODELS
    select: tuple[str, ...] = ()
    memory_limit: str = "8GB"
    spill: Path | None = None
    threads: int | None = None
    seed: int = 1
    peer_seconds: int = 600
    peer_bytes: int = 12_000_000_000

    def command(self, output: Path) -> str:
        """Give the command line that measures this plan."""
        if self == SMALL_PLAN:
            return f"tributary benchmark build --small --output {output}"
        given = {
            "sizes": ",".join(f"{size}" for size in self.sizes),
            "channels": self.channels,
            "models": self.models,
            "select": f'"{" ".join(self.select)}"' if self.select else None,
            "memory": self.memory_limit,
            "spill": self.spill,
            "threads": self.threads,
            "seed": self.seed,
            "peer-seconds": self.peer_seconds,
            "output": output,
        }
        options = (f"--{name} {value}" for name, value in given.items() if value is not None)
        return f"tributary benchmark build {' '.join(options)}"


SMALL_PLAN = Plan(
    sizes=(10_000,),
    select=("+int_transition_counts", "+int_channel_sets"),
    memory_limit="1GB",
    peer_seconds=0,
)
"""To see that the benchmark works: seconds, most of them the start of dbt."""


def parsed_sizes(text: str) -> tuple[int, ...]:
    """Read sizes such as 1e5,2000000; they may rise only, so that growth can be told.

    Raises
    ------
    ValueError
        If one is no whole number of at least 1, or not above the one before.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    sizes = tuple(int(number) for number in numbers if number >= 1 and number == int(number))
    if len(sizes) < len(text.split(",")) or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes is '{text}'. Allowed: rising whole numbers such as 1e5,1e6.")
    return sizes


def run(
    plan: Plan, project: Path, work: Path, tell: Callable[[str], None] = lambda doing: None
) -> Iterator[SizeResult]:
    """Build every size and run its floors.

    Parameters
    ----------
    plan
        What to measure.
    project
        Folder of the dbt project; it is copied, with the chosen models enabled in the copy.
    work
        Folder for all that is made. Inputs stay in it for the next run; the rest is made anew.
    tell
        Called with what is being done.

    Raises
    ------
    BenchmarkError
        If there is no project, or no attribution model of a name.
    """
    work = work.absolute()
    copy = copy_project(project, work / "project", plan)
    for size in plan.sizes:
        files = work / "input" / f"{size}-{plan.channels}-{plan.seed}"
        if not (files / "spend.parquet").exists():  # the last that is written
            tell(f"{size:,} touchpoints: making them")
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir(parents=True)
            people = max(1, round(size / TOUCHES_PER_PERSON))
            write_market(
                files, market_of(plan.channels, people), plan.seed, processes=2, has_long_ids=True
            )
        touchpoints, conversions = _rows(files)
        beside, scratch = _emptied(work / "beside"), _emptied(work / "build")
        try:
            tell(f"{size:,} touchpoints: floors")
            settings = _duckdb_settings(plan)
            floors = tuple(run_floors(files, beside, LOOKBACK_DAYS, settings))
            peers: tuple[PeerCost, ...] = ()
            if plan.peer_seconds:
                tell(f"{size:,} touchpoints: path strings for the peers")
                peers = tuple(peer_costs(plan, files, beside, tell))
            _emptied(beside)  # The build may need the disk.
            tell(f"{size:,} touchpoints: dbt build")
            warehouse = scratch / "benchmark.duckdb"
            cost, usage = run_build(copy, scratch, files, warehouse, _dbt_arguments(plan, copy))
        except BenchmarkError as error:
            yield SizeResult(touchpoints, conversions, failure=str(error))
            continue
        timings = read_timings(scratch / "target")
        by_stage = {each.stage: each for each in floors}
        yield SizeResult(
            touchpoints,
            conversions,
            cost=cost,
            stages=stage_costs(timings, usage, by_stage),
            nodes=node_costs(timings, usage),
            floors=floors,
            peers=peers,
            warehouse_bytes=warehouse.stat().st_size,
        )


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def peer_costs(
    plan: Plan, files: Path, folder: Path, tell: Callable[[str], None]
) -> Iterator[PeerCost]:
    """Measure the packages that are installed, on the journeys that the floors have made.

    Parameters
    ----------
    plan
        What is measured.
    files
        Folder of the raw files.
    folder
        That of the floors' tables.
    tell
        Called with what is being done.
    """
    try:
        write_journeys(files, folder, _duckdb_settings(plan))
    except duckdb.OutOfMemoryException:
        reason = f"its input, journeys as texts, does not fit into {plan.memory_limit}"
        yield from (PeerCost(candidate, failure=reason) for candidate in ALL_CANDIDATES)
        return
    for place, candidate in enumerate(ALL_CANDIDATES):
        tell(f"peers: {candidate.package}, {candidate.model}")
        answer = answer_of(place, folder, plan.peer_seconds, plan.peer_bytes)
        if isinstance(answer, str):
            yield PeerCost(candidate, failure=answer)
            continue
        yield PeerCost(
            candidate,
            wall_seconds=answer["seconds"],
            cpu_seconds=answer["cpu_seconds"],
            peak_bytes=answer["peak_megabytes"] * 1e6,
        )


def _rows(files: Path) -> tuple[int, int]:
    """Count the rows of sessions and of conversions."""
    with duckdb.connect() as connection:
        sessions, conversions = (
            connection.execute(
                "select coalesce(sum(num_rows), 0) from parquet_file_metadata(?)",
                [str(files / each)],
            ).fetchone()
            or (0,)
            for each in ("sessions_*.parquet", "conversions.parquet")
        )
    return int(sessions[0]), int(conversions[0])


def _duckdb_settings(plan: Plan) -> dict[str, str]:
    settings = {"memory_limit": plan.memory_limit}
    if plan.spill:
        settings["temp_directory"] = str(plan.spill.absolute())
    if plan.threads:
        settings["threads"] = str(plan.threads)
    return settings


def _dbt_arguments(plan: Plan, project: Path) -> list[str]:
    # Unit tests have inputs of their own and belong to the project, not to a size.
    excluded = ["unit_test"] if not plan.select else ["unit_test", "test"]
    return [
        *(["--select", *plan.select] if plan.select else []),
        "--exclude-resource-type",
        *excluded,
        "--profiles-dir",
        str(project),
    ]


def copy_project(project: Path, copy: Path, plan: Plan) -> Path:
    """Copy a dbt project, enable the chosen attribution models and limit DuckDB in the copy.

    Raises
    ------
    BenchmarkError
        If there is no project, or no attribution model of a name.
    """
    if not (project / "dbt_project.yml").exists():
        raise BenchmarkError(
            f"There is no dbt project in {project.absolute()}. Go to the folder of dbt_project.yml."
        )
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    described = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))
    folders = [
        folder
        for kind in ("model", "seed", "test", "macro", "analysis", "docs")
        for folder in described.get(f"{kind}-paths", [])
    ]
    for folder in folders:
        shutil.copytree(project / folder, copy / folder, dirs_exist_ok=True)
    shutil.copy(project / "dbt_project.yml", copy)
    profiles = yaml.safe_load((project / "profiles.yml").read_text(encoding="utf-8"))
    output = profiles[described["profile"]]["outputs"]["dev"]
    settings = _duckdb_settings(plan)
    output["settings"] = {**output.get("settings", {}), **settings}
    if plan.threads:
        output["threads"] = plan.threads
    (copy / "profiles.yml").write_text(yaml.safe_dump(profiles), encoding="utf-8")
    _enable_models(copy / "seeds" / "attribution_models.csv", plan.models)
    return copy


def _enable_models(seed: Path, models: str) -> None:
    """Switch attribution models on and off in their seed."""
    with seed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = [row["attribution_model"] for row in rows]
    if models == ALL_MODELS:
        enabled: Collection[str] = known
    elif models == TARGET_MODELS:
        enabled = [name for name in known if name not in LEFT_OUT]
    else:
        enabled = [name.strip() for name in models.split(",")]
        unknown = [name for name in enabled if name not in known]
        if unknown:
            raise BenchmarkError(
                f"There is no attribution model {', '.join(unknown)}. There are: "
                f"{ALL_MODELS}, {TARGET_MODELS}, {', '.join(known)}."
            )
    with seed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            is_enabled = row["attribution_model"] in enabled
            writer.writerow({**row, "is_enabled": str(is_enabled).lower()})


def stage_costs(
    timings: Sequence[Timing], usage: Usage, floors: Mapping[str, FloorCost]
) -> tuple[StageCost, ...]:
    """Add up a run by stages.

    Parameters
    ----------
    timings
        The nodes that ran.
    usage
        What was used from moment to moment.
    floors
        By stage.
    """
    moments = usage.moments
    shares = shares_of_moments(timings, moments)
    first = min((each.begin for each in timings), default=moments[-1])
    wall, cpu, written = (
        np.diff(each) for each in (moments, usage.cpu_seconds, usage.written_bytes)
    )
    memory = np.maximum(usage.memory_bytes[:-1], usage.memory_bytes[1:])
    # What no node has is dbt's own: its start before the first node begins, the rest after.
    before = np.clip((first - moments[:-1]) / np.maximum(wall, np.finfo(float).tiny), 0, 1)
    rows: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {
        START_UP: [np.minimum(before, shares[-1])],
        BETWEEN: [shares[-1] - np.minimum(before, shares[-1])],
    }
    for timing, share in zip(timings, shares, strict=False):
        rows.setdefault(stage_of(timing), []).append(share)
    costs = []
    for stage in STAGES:
        parts = rows.get(stage)
        if parts is None:
            continue
        part = np.sum(parts, axis=0)
        costs.append(
            StageCost(
                stage=stage,
                nodes=0 if stage in (START_UP, BETWEEN) else len(parts),
                wall_seconds=float(part @ wall),
                cpu_seconds=float(part @ cpu),
                written_bytes=float(part @ written),
                peak_bytes=float(memory[part > 0].max(initial=0)),
                floor=floors.get(stage),
            )
        )
    return tuple(costs)


def node_costs(timings: Sequence[Timing], usage: Usage) -> tuple[NodeCost, ...]:
    """Give each node its part of the clock and of the CPU time, most CPU time first."""
    shares = shares_of_moments(timings, usage.moments)[:-1]
    wall, cpu = shares @ np.diff(usage.moments), shares @ np.diff(usage.cpu_seconds)
    costs = [
        NodeCost(timing, own_wall, own_cpu)
        for timing, own_wall, own_cpu in zip(timings, wall.tolist(), cpu.tolist(), strict=True)
    ]
    return tuple(sorted(costs, key=lambda each: (-each.cpu_seconds, each.timing.name)))


def growth(before: tuple[int, float], after: tuple[int, float]) -> float | None:
    """Give the exponent of growth between two (size, cost), or none where a cost is nothing."""
    (size, cost), (larger, higher) = before, after
    if min(cost, higher) <= 0 or size == larger:
        return None
    return log(higher / cost) / log(larger / size)


def with_floor(result: SizeResult) -> list[StageCost]:
    """Give the stages that have a floor."""
    return [each for each in result.stages if each.floor]

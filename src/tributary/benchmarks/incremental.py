"""How much of a build is saved by going on from the one before: the next day, and late rows."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet
from rich import box
from rich.table import Table

from tributary.benchmarks.warehouse import build_warehouse
from tributary.simulation import Market, simulate

DAYS = 365
SESSIONS_PER_PERSON = 33
"""Of a simulated year, about: how many people a number of touchpoints takes."""
SMALL_YEAR = 10_000
"""Touchpoints of a year whose build shows what costs the same at any size."""
LATE_DAYS = 30
LATE_SHARE = 0.3
"""Rows of one day, so many days before the last one, that come late: this share of them."""

INPUT = "input: read, checked"
PERSONS = "persons, channels, conversions"
CHANGES = "who has changed"
BY_PERSON = "models by person"
COUNTS = "counts"
FITTED = "models that are fitted, and their credits"
MARTS = "marts"
STAGES = (INPUT, PERSONS, CHANGES, BY_PERSON, COUNTS, FITTED, MARTS)
_STAGE_OF_FOLDER = {
    "marts": MARTS,
    "staging": INPUT,
    "unified": INPUT,
    "quality": INPUT,
    "channels": PERSONS,
    "identity": PERSONS,
    "conversions": PERSONS,
    "changes": CHANGES,
    "journeys": COUNTS,
    "aggregates": COUNTS,
}
_IDENTITY_MODELS = ("customer_matches", "email_addresses", "identity_resolution", "phone_numbers")


@dataclass(frozen=True)
class Build:
    """What one build took.

    Attributes
    ----------
    name
        What had come in since the build before.
    touchpoints, changed, persons
        Touchpoints of the warehouse; persons computed in this build, and all.
    seconds
        By stage, one model after the other, each on all cores.
    wall_seconds, cpu_seconds
        Of the whole, from the start of dbt to its end.
    """

    name: str
    touchpoints: int
    changed: int
    persons: int
    seconds: Counter[str]
    wall_seconds: float
    cpu_seconds: float


def write_market(folder: Path, touchpoints: int, seed: int) -> None:
    """Simulate a year of a market with about so many touchpoints, unless the folder has it."""
    done = folder / f"market-{touchpoints}-{seed}"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    market = simulate(Market(people=max(1, touchpoints // SESSIONS_PER_PERSON), days=DAYS), seed)
    for name in ("sessions", "conversions", "spend"):
        pyarrow.parquet.write_table(
            getattr(market, name), folder / f"{name}.parquet", row_group_size=122_880
        )
    done.touch()


def deliver(
    market: Path, folder: Path, *, first_day: int = 1, last_day: int, late: bool = False
) -> None:
    """Add a file of sessions for each of some days, or one of those that came late; and the rest.

    Conversions and spend come whole each time, in one file.
    """
    folder.mkdir(exist_ok=True)
    with duckdb.connect() as connection, TemporaryDirectory(dir=folder) as scratch:
        for table, time, key in (
            ("sessions", "started_at", "session_id"),
            ("conversions", "converted_at", "conversion_id"),
            ("spend", "date", "spend"),
        ):
            connection.execute(
                f"create view {table} as select *, 1 + date_diff('day', date '2024-01-01', "  # noqa: S608
                f"cast({time} as date)) as day, day = {DAYS - LATE_DAYS} and hash({key}) % 1000 "
                f"< {LATE_SHARE * 1000} as is_late from '{market}/{table}.parquet'"
            )
        is_new = "is_late" if late else f"day between {first_day} and {last_day} and not is_late"
        connection.execute(
            f"copy (select * exclude (is_late) from sessions where {is_new}) "  # noqa: S608
            f"to '{scratch}' (format parquet, partition_by (day), overwrite)"
        )
        for part in Path(scratch).glob("day=*/*.parquet"):
            day = int(part.parent.name.removeprefix("day="))
            part.rename(folder / f"sessions_{day:03}{'_late' * late}_{part.name}")
        for table, is_in in (("conversions", str(late) + " or not is_late"), ("spend", "true")):
            connection.execute(
                f"copy (select * exclude (day, is_late) from {table} "  # noqa: S608
                f"where day <= {last_day} and ({is_in})) to '{folder}/{table}.parquet'"
            )


def stage_of(node: dict[str, Any]) -> str:
    """Tell which stage a model of dbt's manifest belongs to."""
    if node["config"].get("incremental_strategy") == "changed_persons":
        return BY_PERSON
    if node["name"] in _IDENTITY_MODELS:
        return PERSONS
    folders = Path(node["original_file_path"]).parts
    return next((stage for name, stage in _STAGE_OF_FOLDER.items() if name in folders), FITTED)


def time_builds(
    project: Path,
    market: Path,
    touchpoints: int,
    seed: int,
    selected: str,
    progress: Callable[[str], None],
) -> list[Build]:
    """Build a year but its last day, the same again, the last day, late rows, and all from nothing.

    Before it, a small year, whose costs are those that every build has.

    Parameters
    ----------
    project
        Folder of the dbt project.
    market
        Folder for the simulated year, which is kept there.
    touchpoints, seed
        Its size, about, and its seed.
    selected
        Models to build, as dbt selects them.
    progress
        Told what is being done.

    Raises
    ------
    BenchmarkError
        If a model cannot be built.
    """
    progress("simulating a year")
    small_market = market / "small"
    write_market(market, touchpoints, seed)
    write_market(small_market, SMALL_YEAR, seed)
    builds = []
    with TemporaryDirectory(prefix="tributary_incremental_") as name:
        scratch = Path(name)
        small, files = scratch / "small", scratch / "input"
        for title, folder, delivery, goes_on in (
            ("a small year", small, partial(deliver, small_market, last_day=DAYS), False),
            ("from nothing", files, partial(deliver, market, last_day=DAYS - 1), False),
            ("nothing new", files, None, True),
            ("the next day", files, partial(deliver, market, first_day=DAYS, last_day=DAYS), True),
            (
                f"late rows of {LATE_DAYS} days ago",
                files,
                partial(deliver, market, last_day=DAYS, late=True),
                True,
            ),
            ("from nothing, a day later", files, None, False),
        ):
            progress(title)
            if delivery:
                delivery(folder)
            warehouse = scratch / "incremental.duckdb"
            cost = build_warehouse(
                project, scratch, folder, warehouse, selected, "--threads", "1", goes_on=goes_on
            )
            touchpoint_count, changed, persons = table_sizes(warehouse)
            builds.append(
                Build(
                    title,
                    touchpoint_count,
                    changed,
                    persons,
                    stage_seconds(scratch / "target"),
                    cost.wall_seconds,
                    cost.cpu_seconds,
                )
            )
    return builds


def table_sizes(warehouse: Path) -> tuple[int, int, int]:
    """Count the touchpoints, the persons computed in the last build, and all persons."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(
            "select (select count(*) from intermediate.int_touchpoints), "
            "(select count(*) from intermediate.int_changed_persons), "
            "(select count(*) from intermediate.int_person_states)"
        ).fetchall()[0]


def stage_seconds(target: Path) -> Counter[str]:
    """Add up the seconds of the last run by stage, from what dbt left in its target folder."""
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
    seconds: Counter[str] = Counter()
    for result in results:
        node = nodes.get(result["unique_id"])
        if node and node["resource_type"] == "model":
            seconds[stage_of(node)] += result["execution_time"]
    return seconds


def _rows(builds: Sequence[Build]) -> list[list[str]]:
    """Lay out the builds, one column each."""
    rows = [["", *(build.name for build in builds)]]
    rows.append(["touchpoints", *(f"{build.touchpoints:,}" for build in builds)])
    rows.append(["persons computed", *(f"{build.changed:,}" for build in builds)])
    rows.append(["of all persons", *(f"{build.persons:,}" for build in builds)])
    for stage in (stage for stage in STAGES if any(build.seconds[stage] for build in builds)):
        rows.append([f"{stage}, s", *(f"{build.seconds[stage]:.1f}" for build in builds)])
    rows.append(["whole build, wall s", *(f"{build.wall_seconds:.0f}" for build in builds)])
    rows.append(["whole build, CPU s", *(f"{build.cpu_seconds:.0f}" for build in builds)])
    small = builds[0].cpu_seconds
    rows.append(
        [
            "beyond the small year, CPU s",
            *(f"{build.cpu_seconds - small:.0f}" for build in builds),
        ]
    )
    return rows


def result_table(builds: Sequence[Build]) -> Table:
    """Show the builds side by side."""
    heading, *rows = _rows(builds)
    table = Table(*heading, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    return table


def page(builds: Sequence[Build], command: str, today: date) -> str:
    """Write the result page, Markdown."""
    heading, *rows = _rows(builds)
    return "\n".join(
        [
            "# Benchmark: builds that go on from the one before",
            "",
            f"Run on {today} on {os.cpu_count()} cores ({platform.machine()}), with",
            "",
            "```",
            command,
            "```",
            "",
            "| " + " | ".join(heading) + " |",
            "|---|" + "--:|" * len(builds),
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            _HOW_TO_READ.strip(),
            "",
        ]
    )


_HOW_TO_READ = f"""
A simulated year of sessions, conversions and spend, with a file of sessions for each day. First
its {DAYS - 1} days are built from nothing, then the same again, then with day {DAYS}, then with
{LATE_SHARE:.0%} of the rows of the day {LATE_DAYS} days before it, which had been held back until
then; last, the whole year from nothing, to compare with. Seconds are of dbt's models, one after the
other (`--threads 1`), without tests; the whole build has the seeds and the start of dbt as well.

The small year has about {SMALL_YEAR:,} touchpoints: what its build takes, every build takes,
whatever its size. The last row is what grows.

- **{BY_PERSON.capitalize()}** are computed for the persons who changed. They still look through the
  persons of the tables that they read from and write to: a floor that grows with the warehouse.
- **{CHANGES.capitalize()}** reads every touchpoint and conversion once.
- **{INPUT.capitalize()}**: files of sessions that are as they were are not opened again, and of
  their ids it is known which come twice.
- **{PERSONS.capitalize()}**: touchpoints of files that are as they were are kept, unless their
  cookie has another person. The rest is done anew.
- **{FITTED.capitalize()}** are computed anew, because every new row may move every parameter.
"""

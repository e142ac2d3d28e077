"""What made a publication: a run of the build, and the log of all runs.

The log is a file of JSON lines, one per run, to which lines are only added. It outlives the
generations that are pruned, and knows of the runs that failed.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

RUNS_FILE = "runs.jsonl"

PUBLISHED = "published"
FAILED = "failed"
KILLED = "killed"
ERASED = "erased"

_SOURCE_ROWS = """
    select
        source,
        entity,
        cast(sum(row_count) as bigint) as row_count,
        cast(
            sum(case when outcome in ('used', 'anonymised') then row_count else 0 end) as bigint
        ) as rows_used
    from marts.rpt_data_quality
    group by source, entity
    order by source, entity
"""


@dataclass(frozen=True)
class Run:
    """One run of the build.

    Attributes
    ----------
    run_id
        Also the name of the generation that it published, if it did.
    status
        published, failed, or killed: ended without a word, as by a power cut; erased: no build, but
        an erasure of persons.
    started_at, finished_at
        UTC, ISO 8601. What was published says when its build had ended; a run that was killed has
        no end.
    package_version, code_commit, code_is_changed
        Of the project; without Git, commit and change are not known.
    settings
        Every var with its value.
    seeds
        SHA-256 (hex) of each seed's file, by path.
    sources
        Per source and entity the rows delivered and the rows used.
    tests
        How many data and unit tests ended as pass, warn, fail, error, skipped.
    failed
        Names of the tests and models that failed, or what else did. No messages: they may quote
        data.
    warned
        Names of the tests that warned.
    erased
        Of an erasure how many persons, how many of their ids and contacts were put on the list of
        erased persons, and how many rows of which generations were theirs. Never who.
    """

    run_id: str
    status: str
    started_at: str
    package_version: str
    settings: Mapping[str, Any]
    seeds: Mapping[str, str]
    finished_at: str | None = None
    code_commit: str | None = None
    code_is_changed: bool | None = None
    sources: tuple[Mapping[str, Any], ...] = ()
    tests: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    erased: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the run as values of JSON, which `run_of` reads back."""
        return asdict(self)

    def ended(self, status: str, moment: datetime, *failed: str) -> "Run":
        """Give the run as it ended."""
        return replace(
            self, status=status, finished_at=timestamp(moment), failed=(*self.failed, *failed)
        )


@dataclass(frozen=True)
class Results:
    """What dbt says of a build.

    Attributes
    ----------
    marts
        Names of the tables of the schema marts that it made.
    tests, failed, warned
        As in `Run`.
    """

    marts: tuple[str, ...]
    tests: Mapping[str, int]
    failed: tuple[str, ...]
    warned: tuple[str, ...]


def timestamp(moment: datetime) -> str:
    """Write a moment as in the log: UTC, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def run_of(content: Mapping[str, Any]) -> Run:
    """Read what `Run.as_json` wrote; what an older version did not write keeps its default.

    Raises
    ------
    ValueError, TypeError
        If it is not the content of a run.
    """
    known = {name: content[name] for name in (own.name for own in fields(Run)) if name in content}
    for name in ("sources", "failed", "warned"):
        known[name] = tuple(known.get(name, ()))
    run = Run(**known)
    for moment in (run.started_at, run.finished_at):
        if moment is not None:
            _moment(moment)
    return run


def read_runs(log: Path) -> list[Run]:
    """Read a log, oldest run first. A line that was cut short or damaged is passed over."""
    if not log.is_file():
        return []
    runs = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            runs.append(run_of(json.loads(line)))
        except (ValueError, TypeError):
            continue
    return runs


def append_run(log: Path, run: Run) -> None:
    """Add a run to a log, and wait until it is on disk."""
    line = json.dumps(run.as_json(), ensure_ascii=False) + "\n"
    descriptor = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(descriptor, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        # After a line that was cut short, begin another.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line
        file.write(line.encode())
        file.flush()
        os.fsync(descriptor)


def runs_table(runs: Iterable[Run]) -> pa.Table:
    """Put runs into the table `rpt_runs`, one row per run, in the order given."""
    rows = [
        {
            "run_id": run.run_id,
            "status": run.status,
            "started_at": _moment(run.started_at),
            "finished_at": run.finished_at and _moment(run.finished_at),
            "package_version": run.package_version,
            "code_commit": run.code_commit,
            "code_is_changed": run.code_is_changed,
            "settings": json.dumps(run.settings, sort_keys=True, ensure_ascii=False),
            "seeds_sha256": hashlib.sha256(
                json.dumps(run.seeds, sort_keys=True).encode()
            ).hexdigest(),
            "rows_delivered": sum(source["row_count"] for source in run.sources),
            "rows_used": sum(source["rows_used"] for source in run.sources),
            "tests_passed": run.tests.get("pass", 0),
            "tests_warned": run.tests.get("warn", 0),
            "tests_failed": run.tests.get("fail", 0) + run.tests.get("error", 0),
            "failed": list(run.failed),
            "warned": list(run.warned),
            "erased": run.erased and json.dumps(run.erased, sort_keys=True),
        }
        for run in runs
    ]
    return pa.Table.from_pylist(rows, schema=_RUNS_SCHEMA)


_RUNS_SCHEMA = pa.schema(
    [
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("finished_at", pa.timestamp("us")),
        ("package_version", pa.string()),
        ("code_commit", pa.string()),
        ("code_is_changed", pa.bool_()),
        ("settings", pa.string()),
        ("seeds_sha256", pa.string()),
        ("rows_delivered", pa.int64()),
        ("rows_used", pa.int64()),
        ("tests_passed", pa.int64()),
        ("tests_warned", pa.int64()),
        ("tests_failed", pa.int64()),
        ("failed", pa.list_(pa.string())),
        ("warned", pa.list_(pa.string())),
        ("erased", pa.string()),
    ]
)


def _moment(text: str) -> datetime:
    """Read a moment of the log as the warehouse holds times: UTC without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def read_results(target: Path) -> Results:
    """Read what dbt wrote about a build into its target folder.

    Marts are taken from here and not from the warehouse, where a model that the project has no
    more may have left its table. Nothing is there where dbt ended before it built anything.
    """
    path = target / "run_results.json"
    if not path.is_file():
        return Results((), {}, (), ())
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    marts, failed, warned = [], [], []
    tests: dict[str, int] = {}
    for result in results:
        kind, _, name = result["unique_id"].split(".")[:3]
        status = result["status"]
        if kind in {"test", "unit_test"}:
            tests[status] = tests.get(status, 0) + 1
        elif kind == "model" and nodes[result["unique_id"]]["schema"] == "marts":
            marts.append(nodes[result["unique_id"]]["alias"])
        if status in {"fail", "error"}:
            failed.append(name)
        elif status == "warn":
            warned.append(name)
    return Results(tuple(marts), tests, tuple(sorted(failed)), tuple(sorted(warned)))


def source_rows(build: Path) -> tuple[dict[str, Any], ...]:
    """Count the rows that each source delivered of each entity, and those that could be used."""
    with duckdb.connect(str(build), read_only=True) as connection:
        return tuple(connection.execute(_SOURCE_ROWS).to_arrow_table().to_pylist())


def resolved_settings(
    declared: Mapping[str, Any], given: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Resolve every var of a build as dbt does.

    Parameters
    ----------
    declared
        The vars of dbt_project.yml.
    given
        The vars of the command line, which come first.
    environment
        Read where a var is null and has a variable of its own.
    """
    settings = {**declared, **given}
    for name, variable in _VARIABLES.items():
        if settings.get(name) is None and environment.get(variable):
            settings[name] = environment[variable]
    # YAML reads an unquoted day as a date, which JSON does not have.
    resolved: dict[str, Any] = json.loads(json.dumps(settings, sort_keys=True, default=str))
    return resolved


_VARIABLES = {
    "sources": "TRIBUTARY_SOURCES",
    "ihc_database": "TRIBUTARY_IHC_DATABASE",
    "files_path": "TRIBUTARY_FILES",
}


def seed_hashes(project: Path, seed_paths: Iterable[str]) -> dict[str, str]:
    """Hash each seed's file: SHA-256 (hex) by path within the project."""
    files = sorted(file for path in seed_paths for file in (project / path).rglob("*.csv"))
    return {
        file.relative_to(project).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }

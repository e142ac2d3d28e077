"""Builds of the real project, each in a fresh warehouse of its own."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HASH_KEY = "a key that only tests have"

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Build:
    """What a dbt command left behind."""

    status: int
    output: str
    warehouse: Path

    def rows(self, sql: str) -> list[Row]:
        """Query the warehouse."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def value(self, sql: str) -> Any:
        """Query the warehouse for one value."""
        ((value,),) = self.rows(sql)
        return value


class DbtServer:
    """One process that keeps dbt and the parsed project at hand; see dbt_server."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, request: Mapping[str, object]) -> int | None:
        """Run a command and return its exit status; None where the project cannot be parsed."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("dbt_server.py")],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().strip()
        return None if answer == "not parsed" else int(answer)


_SERVER = DbtServer()


def environment_of(folder: Path) -> dict[str, str]:
    """Give what dbt is to know of a folder that everything it writes is in."""
    inherited = {name: value for name, value in os.environ.items() if "TRIBUTARY" not in name}
    return {
        **inherited,
        "TRIBUTARY_WAREHOUSE": str(folder / "tributary.duckdb"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DBT_VERSION_CHECK": "false",
        # dbt's own account of a run takes longer than the run of a few models; few tests read it.
        "DBT_WRITE_JSON": "false",
        "TRIBUTARY_HASH_KEY": HASH_KEY,
    }


def run_dbt(
    folder: Path,
    *arguments: str,
    variables: str = "{}",
    project: Path = PROJECT,
    environment: Mapping[str, str] | None = None,
) -> Build:
    """Run dbt in the root of a project with everything it writes in `folder`."""
    warehouse = folder / "tributary.duckdb"
    environment = {**environment_of(folder), **(environment or {})}
    if project == PROJECT:
        log = folder / "output.log"
        status = _SERVER.run(
            {
                "arguments": ["--no-use-colors", *arguments],
                "variables": variables,
                "environment": environment,
                "log": str(log),
            }
        )
        if status is not None:
            return Build(status, log.read_text(encoding="utf-8"), warehouse)
    completed = subprocess.run(
        [BIN / "dbt", "--no-use-colors", *arguments, "--vars", variables],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Build(completed.returncode, completed.stdout + completed.stderr, warehouse)


def build(
    folder: Path,
    variables: str = "{}",
    *,
    project: Path = PROJECT,
    environment: Mapping[str, str] | None = None,
) -> Build:
    """Build all models and run all data tests; unit tests do not depend on the input."""
    return run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        variables=variables,
        project=project,
        environment=environment,
    )


def write_csv(path: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file with a comma separated header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)


HEADERS: Mapping[str, str] = {
    "sessions": "session_id,user_id,started_at,channel",
    "conversions": "conversion_id,user_id,converted_at,revenue",
    "spend": "date,channel,spend",
}

Tables = Mapping[str, Iterable[Iterable[object]]]


@pytest.fixture
def build_files(tmp_path: Path) -> Callable[..., Build]:
    """Build from rows of sessions, conversions and spend; a table left out has no rows."""

    def build_from(tables: Tables, settings: str = "") -> Build:
        for name, header in HEADERS.items():
            write_csv(tmp_path / "input" / f"{name}.csv", header, tables.get(name, []))
        result = build(
            tmp_path, f"{{sources: [files], files_path: {tmp_path / 'input'}, {settings}}}"
        )
        assert result.status == 0, result.output
        return result

    return build_from

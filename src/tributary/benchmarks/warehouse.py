"""Builds of the warehouse for benchmarks, and what they cost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tributary.benchmarks.process_tree import Usage, watched

_SHOWN_LOG_LINES = 15


class BenchmarkError(Exception):
    """What stopped a benchmark, in words for the one who ran it."""


@dataclass(frozen=True)
class Cost:
    """What a build took.

    Attributes
    ----------
    wall_seconds, cpu_seconds
        From the start of dbt to its end; CPU of all cores.
    peak_bytes
        Most memory of the process at one time.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def build_warehouse(
    project: Path,
    scratch: Path,
    files: Path,
    warehouse: Path,
    *selected: str,
    goes_on: bool = False,
) -> Cost:
    """Build models from a folder of files, without tests: those belong to the project.

    Parameters
    ----------
    project
        Folder of the dbt project.
    scratch
        Folder for dbt's own files.
    files
        Folder of the source `files`.
    warehouse
        The DuckDB file, made anew.
    selected
        What to build, as dbt selects it.
    goes_on
        Whether to go on with the DuckDB file as it is, in place of making it anew.

    Raises
    ------
    BenchmarkError
        If a model cannot be built.
    """
    arguments = ["--select", *selected, "--exclude-resource-type", "test", "unit_test"]
    return run_build(project, scratch, files, warehouse, arguments, goes_on=goes_on)[0]


def run_build(
    project: Path,
    scratch: Path,
    files: Path,
    warehouse: Path,
    arguments: Sequence[str],
    *,
    goes_on: bool = False,
) -> tuple[Cost, Usage]:
    """Run dbt build on a folder of files.

    Parameters
    ----------
    project, scratch, files, warehouse, goes_on
        As of `build_warehouse`. What dbt says of the run is in `scratch`/target.
    arguments
        Further ones of dbt build.

    Returns
    -------
    tuple
        What the whole run took, and what it used from moment to moment.

    Raises
    ------
    BenchmarkError
        If something cannot be built, or a test fails.
    """
    variables = {"sources": ["files"], "files_path": str(files)}
    inherited = {name: value for name, value in os.environ.items() if "TRIBUTARY" not in name}
    command = [
        str(Path(sys.executable).parent / "dbt"),
        "--no-use-colors",
        "build",
        *arguments,
        "--vars",
        json.dumps(variables),
    ]
    environment = inherited | {
        "TRIBUTARY_WAREHOUSE": str(warehouse),
        "TRIBUTARY_HASH_KEY": "made-up contacts need no secret",
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
    }
    if not goes_on:
        warehouse.unlink(missing_ok=True)
    log = scratch / "build.log"
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603 - the arguments are the project's own
            command, cwd=project, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        with watched(process.pid) as watch:
            _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = log.read_text(encoding="utf-8").strip().splitlines()
        reason = "\n".join(lines[-_SHOWN_LOG_LINES:]) or f"status {process.returncode}"
        raise BenchmarkError(f"dbt build failed:\n{reason}")
    usage = watch.usage()
    return Cost(
        wall_seconds=time.perf_counter() - started,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * 1024,
    ), usage

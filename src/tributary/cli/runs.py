"""tributary runs: the builds so far, how they ended and what to do next."""

from datetime import datetime
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    WarehouseOption,
    fail,
    print_fitting,
    say,
    table_console,
)
from tributary.publishing import GENERATIONS, current_generation, generations, published_file
from tributary.runs import ERASED, FAILED, PUBLISHED, RUNS_FILE, Run, read_runs

IS_CURRENT = "current"
IS_LOST = "lost"


def runs_command(
    limit: Annotated[int, typer.Option(min=1, help="How many runs, newest first.")] = 20,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Print the runs of tributary build, newest first."""
    folder = warehouse.absolute().parent
    runs = read_runs(folder / RUNS_FILE)
    if not runs:
        raise fail(f"There are no runs in {folder}. Make one with: tributary build")
    current = current_generation(folder)
    state = IS_CURRENT if published_file(warehouse.absolute()) else IS_LOST
    kept = generations(folder)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Run", no_wrap=True)
    table.add_column("Took", justify="right", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for heading in ("Passed", "Warned", "Failed", "Rows used"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Next", overflow="fold")
    for run in reversed(runs[-limit:]):
        status = state if run.run_id == current else run.status
        table.add_row(
            run.run_id,
            _duration(run),
            status,
            *(str(count) for count in _tests(run)),
            _rows(run),
            _next(run, status, run is runs[-1], kept),
        )
    print_fitting(table_console(), table, "Passed", "Rows used", "Warned", "Failed", "Took")
    say.print(f"What made a generation: {folder / GENERATIONS}/<run>/manifest.json")


def _duration(run: Run) -> str:
    if run.finished_at is None:
        return "-"
    taken = datetime.fromisoformat(run.finished_at) - datetime.fromisoformat(run.started_at)
    return str(taken)


def _tests(run: Run) -> tuple[int, int, int]:
    """How many tests passed, warned and failed."""
    failed = run.tests.get("fail", 0) + run.tests.get("error", 0)
    return run.tests.get("pass", 0), run.tests.get("warn", 0), failed


def _rows(run: Run) -> str:
    if not run.sources:
        return "-"
    used, delivered = (
        sum(source[count] for source in run.sources) for count in ("rows_used", "row_count")
    )
    return f"{used:,} of {delivered:,}"


def _next(run: Run, status: str, is_newest: bool, kept: list[str]) -> str:
    """Say what to do after a run; what an earlier one asked for, the newest one shows."""
    if status == IS_CURRENT:
        return f"look at {', '.join(run.warned)}" if run.warned else "tributary report"
    if status == IS_LOST:
        return "its folder, or its file, is gone; tributary build"
    if run.status == PUBLISHED:
        return "kept" if run.run_id in kept else "pruned"
    if run.status == ERASED and run.erased:
        return f"{run.erased['persons']} erased{'; tributary build' if is_newest else ''}"
    if run.status == FAILED:
        failed = ", ".join(run.failed)
        return f"correct {failed}; tributary build" if is_newest else f"failed: {failed}"
    return "tributary build" if is_newest else ""

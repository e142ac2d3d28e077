"""tributary ihc-api: journeys to the external IHC service, and its results back."""

import os
import signal
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    TABLE_WIDTH,
    WarehouseOption,
    fail,
    open_warehouse,
    say,
)
from tributary.ihc_ledger import FAILURES_FILE, Ledger, Summary, Work, read_journeys, run
from tributary.ihc_service import (
    MAX_JOURNEYS,
    SERVICE_URL,
    IhcServiceError,
    Limits,
    Plan,
    Service,
    read_redistribution,
)

KEY_VARIABLE = "TRIBUTARY_IHC_API_KEY"
LINES_SHOWN = 10


def ihc_api_command(
    conv_type_id: Annotated[
        str,
        typer.Option(
            envvar="TRIBUTARY_IHC_CONV_TYPE_ID", help="The service's name of the conversion type."
        ),
    ],
    conversion_type: Annotated[
        str | None,
        typer.Option("--type", help="Conversion type of the warehouse; purchase if not given."),
    ] = None,
    redistribution: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Redistribution parameters: JSON, YAML or TOML."),
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="TRIBUTARY_IHC_URL", help="The service's address.")
    ] = SERVICE_URL,
    plan: Annotated[Plan, typer.Option(help="The account's plan.")] = Plan.PAID,
    max_journeys: Annotated[int, typer.Option(help="Journeys in a request.")] = MAX_JOURNEYS,
    max_sessions: Annotated[
        int | None,
        typer.Option(help="Sessions in a request.", show_default="3000, on the free plan 200"),
    ] = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=64, help="Requests under way at one time.")
    ] = 4,
    per_second: Annotated[float, typer.Option(help="Requests per second, retries included.")] = 2.0,
    attempts: Annotated[int, typer.Option(help="How often a request is tried in all.")] = 6,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 60.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Send again what failed in an earlier run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(
        "data/ihc_service"
    ),
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Send journeys to the external IHC service, and keep its results for the warehouse.

    The API key is read from the environment variable TRIBUTARY_IHC_API_KEY.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key and not dry_run:
        raise fail(f"There is no API key. Put it into the environment variable {KEY_VARIABLE}.")
    try:
        limits = Limits(max_journeys, max_sessions, plan)
        service = Service(
            key=key or "none",
            conv_type_id=conv_type_id,
            url=url,
            redistribution=read_redistribution(redistribution) if redistribution else None,
            requests_per_second=per_second,
            timeout_seconds=timeout,
            attempts=attempts,
        )
        with open_warehouse(warehouse) as connection:
            journeys = read_journeys(
                connection, conversion_type, conv_type_id, service.redistribution
            )
        with Ledger(output, read_only=dry_run) as ledger:
            work = ledger.work(journeys, limits, retry_failed)
            _say_work(work, limits)
            if dry_run:
                _print_batches(work, limits)
                return
            stop = threading.Event()
            _set_when_interrupted(stop)
            with Progress(
                *Progress.get_default_columns(), MofNCompleteColumn(), console=say, transient=True
            ) as progress:
                task = progress.add_task("Conversions", total=work.journeys.num_rows)
                summary = run(
                    work,
                    limits,
                    service,
                    ledger,
                    parallel,
                    lambda finished: progress.advance(task, finished),
                    stop,
                )
    except (ValueError, IhcServiceError) as error:
        raise fail(str(error)) from None
    _say_summary(summary, output)
    if summary.failures or summary.unanswered or summary.stopped:
        raise typer.Exit(1)


def _set_when_interrupted(stop: threading.Event) -> None:
    """Let the first Ctrl-C, or a request to terminate, end a run in good order.

    An exception could come in the middle of a write; DuckDB gives up a query at one.
    """

    def end(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say.print("Ending once the requests under way are answered …")

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def _say_work(work: Work, limits: Limits) -> None:
    """Say what there is to send and what is not sent, and why."""
    say.print(
        f"To send: {work.journeys.num_rows:,} conversions. Done before: {work.answered:,} answered"
        + (f", {work.failed:,} failed (--retry-failed sends them again)." if work.failed else ".")
    )
    if work.too_long.num_rows:
        say.print(
            f"Not sendable: {work.too_long.num_rows:,} conversions, whose journeys have more "
            f"sessions than the {limits.sessions:,} of a request:"
        )
        rows = work.too_long.select(["source", "conversion_id", "session_count"]).to_pylist()
        _say_some(
            f"{row['source']} {row['conversion_id']}: {row['session_count']:,} sessions"
            for row in rows
        )


def _print_batches(work: Work, limits: Limits) -> None:
    """Print the requests that would be sent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Source")
    for heading in ("Request", "Journeys", "Sessions"):
        table.add_column(heading, justify="right")
    sources = work.journeys["source"].to_pylist()
    counts = work.journeys["session_count"].to_pylist()
    for number, positions in enumerate(work.plan(limits), start=1):
        table.add_row(
            sources[positions.start],
            f"{number:,}",
            f"{len(positions):,}",
            f"{sum(counts[position] for position in positions):,}",
        )
    Console(highlight=False, width=TABLE_WIDTH).print(table)
    say.print("Nothing was sent.")


def _say_summary(summary: Summary, output: Path) -> None:
    """Say what a run did, what failed and why, and what to do next."""
    failures = summary.failures
    say.print(
        f"Sent {summary.sent:,} conversions in {summary.requests:,} requests: "
        f"{summary.answered:,} answered, {len(failures):,} failed, "
        f"{summary.unanswered:,} without an answer."
    )
    _say_some(
        f"{source} {conversion_id}: {failure.status or 'answer'}: {failure.message}"
        for (source, conversion_id), failure in sorted(failures.items())
    )
    if summary.stopped:
        say.print(f"Stopped, with {summary.not_sent:,} conversions not sent: {summary.stopped}")
    say.print(f"The results are in {output}; {FAILURES_FILE} there lists what failed.")
    if summary.unanswered or summary.not_sent:
        say.print("Next: the same command again; it sends only what is missing or has changed.")
    if failures:
        say.print("Next: mend what failed, or send it again with --retry-failed.")
    say.print(f"Next: dbt build --vars '{{ihc_results_path: {output}}}'")


def _say_some(lines: Iterable[str]) -> None:
    """Say the first few lines, and how many more there are."""
    for number, line in enumerate(every := list(lines)):
        if number == LINES_SHOWN:
            say.print(f"  … and {len(every) - number:,} more")
            break
        say.print(f"  {line}")

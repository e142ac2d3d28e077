"""The command line: tributary simulate, tributary report, tributary ihc-api."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from io import BytesIO, StringIO
from pathlib import Path
from typing import Annotated

import duckdb
import pyarrow.csv
import pyarrow.parquet
import typer
from rich import box
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

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
from tributary.report import UNATTRIBUTED, ChannelReport, ReportError, ReportRequest, channel_report
from tributary.simulation import Market, simulate

DAY = "%Y-%m-%d"
DATES = "Credits count on the day of the touchpoint."
DEFAULT_WAREHOUSE = Path("warehouse/tributary.duckdb")
ROWS_PER_GROUP = 122_880  # DuckDB reads Parquet row groups in parallel; this is its own size
REPORT_WIDTH = 110
REPORT_WIDTH_WITHOUT_BARS = 88
BAR_WIDTH = 15
KEY_VARIABLE = "TRIBUTARY_IHC_API_KEY"
LINES_SHOWN = 10

app = typer.Typer(
    help="What each marketing channel really earned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
say = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def main() -> None:
    """Run the command line."""
    app()


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises the returned exit, which has status 1."""
    say.print("Error:", style="red", end=" ")
    say.print(message)
    return typer.Exit(1)


@app.command("simulate")
def simulate_command(
    people: Annotated[int, typer.Option(min=0, help="How many people.")] = 20_000,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same data.")] = 1,
    first_day: Annotated[
        datetime,
        typer.Option(
            formats=[DAY],
            metavar="YYYY-MM-DD",
            show_default="2024-01-01",
            help="The first day, UTC.",
        ),
    ] = datetime(2024, 1, 1),
    output: Annotated[Path, typer.Option(help="Folder for the Parquet files.")] = Path("data/demo"),
) -> None:
    """Simulate a market: sessions, conversions and spend, and the truth about its channels."""
    market = Market(people=people, days=days, first_day=first_day.date())
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task("Simulating people", total=people)
        simulation = simulate(market, seed, lambda done: progress.advance(task, done))
    tables = {
        "sessions": simulation.sessions,
        "conversions": simulation.conversions,
        "spend": simulation.spend,
        "truth": simulation.truth,
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            pyarrow.parquet.write_table(
                table, output / f"{name}.parquet", row_group_size=ROWS_PER_GROUP
            )
    except OSError as error:
        raise fail(f"Cannot write to {output}: {error.strerror or error}.") from None
    counts = ", ".join(f"{table.num_rows:,} rows of {name}" for name, table in tables.items())
    say.print(f"Simulated {people:,} people over {days} days into {output}: {counts}.")
    if output == Path("data/demo"):
        say.print("Next: make build, or dbt build in the environment.")
    else:
        say.print(f"Next: dbt build --vars '{{sources: [files], files_path: {output}}}'")


@app.command("report")
def report_command(
    model: Annotated[
        str, typer.Option(help="Attribution model, as listed in seeds/attribution_models.csv.")
    ] = "linear",
    conversion_type: Annotated[
        str | None, typer.Option("--type", help="Conversion type; purchase if not given.")
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(formats=[DAY], metavar="YYYY-MM-DD", help=f"First date. {DATES}"),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(formats=[DAY], metavar="YYYY-MM-DD", help="Last date, inclusive."),
    ] = None,
    output_format: Annotated[
        ReportFormat | None,
        typer.Option("--format", help="How to write it; by the ending of --output if not given."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; standard output if not given.")
    ] = None,
    warehouse: Annotated[
        Path, typer.Option(envvar="TRIBUTARY_WAREHOUSE", help="The warehouse's DuckDB file.")
    ] = DEFAULT_WAREHOUSE,
) -> None:
    """Print the channel report, or export it."""
    chosen = output_format or _format_of(output)
    if chosen is ReportFormat.PARQUET and output is None:
        raise fail("A Parquet report needs a file: add --output FILE.")
    if not warehouse.is_file():
        raise fail(f"There is no warehouse at {warehouse.absolute()}. Make it with: make build")
    request = ReportRequest(model, conversion_type, _day(start), _day(end))
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            report = channel_report(connection, request)
    except ReportError as error:
        raise fail(str(error)) from None
    except duckdb.IOException as error:
        raise fail(f"Cannot open the warehouse {warehouse}: {_reason(error)}") from None

    if output is not None:
        _write(output, _exported(report, request, chosen))
    elif chosen is ReportFormat.TABLE:
        # A pipe has no width of its own; a narrow terminal does without the bars.
        width = REPORT_WIDTH
        if sys.stdout.isatty():
            width = max(Console().width, REPORT_WIDTH_WITHOUT_BARS)
        Console(highlight=False, width=width).print(_report_table(report, request, width))
    else:
        sys.stdout.buffer.write(_exported(report, request, chosen))
    if chosen is ReportFormat.TABLE:
        _print_notes(report, request, warehouse)


@app.command("ihc-api")
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
    warehouse: Annotated[
        Path, typer.Option(envvar="TRIBUTARY_WAREHOUSE", help="The warehouse's DuckDB file.")
    ] = DEFAULT_WAREHOUSE,
) -> None:
    """Send journeys to the external IHC service, and keep its results for the warehouse.

    The API key is read from the environment variable TRIBUTARY_IHC_API_KEY.
    """
    if not warehouse.is_file():
        raise fail(f"There is no warehouse at {warehouse.absolute()}. Make it with: make build")
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
        with duckdb.connect(str(warehouse), read_only=True) as connection:
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
    except duckdb.IOException as error:
        raise fail(f"Cannot open the warehouse {warehouse}: {_reason(error)}") from None
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
    Console(highlight=False, width=REPORT_WIDTH).print(table)
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


def _format_of(output: Path | None) -> ReportFormat:
    """Take the format that a file's ending names, or a table where it names none."""
    ending = output.suffix.removeprefix(".").lower() if output else ""
    return ReportFormat(ending) if ending in list(ReportFormat) else ReportFormat.TABLE


def _reason(error: duckdb.IOException) -> str:
    """Say why DuckDB cannot open a file, and what to do about it."""
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    if holder:
        program, process = holder.groups()
        return f"process {process} ({program}) has it open. Wait for it or close it, and try again."
    return "it is not a DuckDB file."


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise fail(f"Cannot write {output}: {error.strerror or error}.") from None
    say.print(f"Wrote the report to {output}.")


def _exported(report: ChannelReport, request: ReportRequest, chosen: ReportFormat) -> bytes:
    """Render the report as the content of a file."""
    sink = BytesIO()
    match chosen:
        case ReportFormat.CSV:
            pyarrow.csv.write_csv(report.channels, sink)
        case ReportFormat.PARQUET:
            pyarrow.parquet.write_table(report.channels, sink)
        case ReportFormat.JSON:
            rows = report.channels.to_pylist()
            sink.write((json.dumps(rows, indent=2, ensure_ascii=False) + "\n").encode())
        case ReportFormat.TABLE:
            text = StringIO()
            Console(file=text, width=REPORT_WIDTH).print(
                _report_table(report, request, REPORT_WIDTH)
            )
            sink.write(text.getvalue().encode())
    return sink.getvalue()


def _print_notes(report: ChannelReport, request: ReportRequest, warehouse: Path) -> None:
    """Say what the table does not show, where the warehouse is and what to do next."""
    if not report.channels.num_rows:
        say.print("There are neither conversions nor spend in the period.")
    if report.rows_rejected:
        say.print(
            f"{report.rows_rejected:,} rows of input could not be used: "
            "marts.rpt_data_quality counts them and says what to do."
        )
    if report.conversions_not_met >= 0.005:
        say.print(
            "These are sums of credits per touchpoint. "
            f"{report.conversions_not_met:,.2f} conversions lie with another channel than in the "
            "model's own totals, which no credits can meet: marts.rpt_path_credit_audit says "
            "where, marts.rpt_channel_attribution has the totals."
        )
    say.print(f"The warehouse is {warehouse.absolute()}; its marts are in the schema marts.")
    say.print("Next: tributary report --help for other models, dates and files;")
    say.print("      make docs for the lineage site.")


def _report_table(report: ChannelReport, request: ReportRequest, width: int) -> Table:
    period = ""
    if request.start or request.end:
        period = f", {request.start or 'the first day'} to {request.end or 'the last day'}"
    table = Table(
        title=f"{report.conversion_type} by channel, {request.attribution_model} attribution"
        f"{period}",
        title_justify="left",
        caption=f"Shares are of attributed conversions. Unpaid channels have no ROAS.\n{DATES}",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    bar_width = BAR_WIDTH if width >= REPORT_WIDTH else 0
    table.add_column("Channel", min_width=16)
    for heading in ("Spend", "Conversions", "Revenue", "CPO", "ROAS", "Share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)

    rows = report.channels.to_pylist()
    largest = max((row["share"] for row in rows), default=0) or 1
    for row in rows:
        share = row["share"]
        table.add_row(
            row["channel"],
            *_measures(row),
            "" if row["channel"] == UNATTRIBUTED else f"{share:.1%}",
            "█" * round(bar_width * share / largest),
        )
    table.add_section()
    for row in report.totals.to_pylist():
        table.add_row(row["channel"], *_measures(row), "", "")
    return table


def _measures(row: dict[str, float | None]) -> list[str]:
    """Spend, conversions, revenue, CPO and ROAS as text; a dash where undefined."""
    return [
        "-" if row[name] is None else f"{row[name]:,.2f}"
        for name in ("spend", "conversions", "revenue", "cpo", "roas")
    ]

"""The command line: tributary simulate, tributary report."""

import json
import sys
from datetime import date, datetime
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Annotated

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tributary.report import UNATTRIBUTED, ChannelReport, ReportError, ReportRequest, channel_report
from tributary.simulation import Market, simulate

DEFAULT_WAREHOUSE = Path("warehouse/tributary.duckdb")
ROWS_PER_GROUP = 122_880  # DuckDB reads Parquet row groups in parallel; this is its own size
REPORT_WIDTH = 110
BAR_WIDTH = 15

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
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day, UTC.")
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
        say.print("Next: dbt build")
    else:
        say.print(f"Next: dbt build --vars '{{sources: [files], files_path: {output}}}'")


@app.command("report")
def report_command(
    model: Annotated[str, typer.Option(help="Attribution model.")] = "linear",
    conversion_type: Annotated[
        str | None, typer.Option("--type", help="Conversion type; purchase if not given.")
    ] = None,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First date, inclusive.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last date, inclusive.")
    ] = None,
    output_format: Annotated[
        ReportFormat, typer.Option("--format", help="How to write it.")
    ] = ReportFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="File to write; standard output if not given.")
    ] = None,
    warehouse: Annotated[
        Path, typer.Option(envvar="TRIBUTARY_WAREHOUSE", help="The warehouse's DuckDB file.")
    ] = DEFAULT_WAREHOUSE,
) -> None:
    """Print the channel report, or export it."""
    if output_format is ReportFormat.PARQUET and output is None:
        raise fail("A Parquet report needs a file: add --output FILE.")
    if not warehouse.is_file():
        raise fail(f"There is no warehouse at {warehouse}. Make it with: make build")
    request = ReportRequest(model, conversion_type, _day(start), _day(end))
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            report = channel_report(connection, request)
    except ReportError as error:
        raise fail(str(error)) from None
    except duckdb.IOException as error:
        reason = "a build is using it" if "lock" in str(error) else "it is not a DuckDB file"
        raise fail(f"Cannot open the warehouse {warehouse}: {reason}.") from None

    if output_format is ReportFormat.TABLE:
        _print_report(report, request, warehouse, output)
        return
    exported = {
        ReportFormat.CSV: _as_csv,
        ReportFormat.JSON: _as_json,
        ReportFormat.PARQUET: _as_parquet,
    }[output_format](report.channels)
    if output is None:
        sys.stdout.buffer.write(exported)
        return
    _write(output, exported)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise fail(f"Cannot write {output}: {error.strerror or error}.") from None
    say.print(f"Wrote the report to {output}.")


def _as_csv(table: pa.Table) -> bytes:
    sink = BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue()


def _as_json(table: pa.Table) -> bytes:
    return (json.dumps(table.to_pylist(), indent=2, ensure_ascii=False) + "\n").encode()


def _as_parquet(table: pa.Table) -> bytes:
    sink = BytesIO()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def _print_report(
    report: ChannelReport, request: ReportRequest, warehouse: Path, output: Path | None
) -> None:
    table = _report_table(report, request)
    if output is not None:
        with output.open("w", encoding="utf-8") as file:
            Console(file=file, width=REPORT_WIDTH).print(table)
        say.print(f"Wrote the report to {output}.")
        return
    # A pipe has no width of its own; a narrow terminal keeps its own and folds the channel names.
    Console(highlight=False, width=None if sys.stdout.isatty() else REPORT_WIDTH).print(table)
    if not report.channels.num_rows:
        say.print("There are neither conversions nor spend in the period.")
    say.print(f"The warehouse is {warehouse}; its marts are in the schema marts.")
    say.print(
        "Next: another model with tributary report --model markov, a file with --format csv "
        "--output report.csv, the lineage site with make docs."
    )


def _report_table(report: ChannelReport, request: ReportRequest) -> Table:
    period = ""
    if request.start or request.end:
        period = f", {request.start or 'the first day'} to {request.end or 'the last day'}"
    table = Table(
        title=f"{report.conversion_type} by channel, {request.attribution_model} attribution"
        f"{period}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Channel", min_width=12)
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
            "█" * round(BAR_WIDTH * share / largest),
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

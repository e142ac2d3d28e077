"""tributary report: what each channel cost and earned."""

import json
import sys
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from io import BytesIO, StringIO
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    TABLE_WIDTH,
    WarehouseOption,
    cannot_write,
    fail,
    open_warehouse,
    printable,
    say,
    some_of,
)
from tributary.publishing import published_file
from tributary.report import (
    DEFAULT_MODELS,
    UNATTRIBUTED,
    ChannelReport,
    ReportError,
    ReportRequest,
    channel_report,
    model_estimates,
)

DAY = "%Y-%m-%d"
DATES = "Credits count on the day of the touchpoint."
WIDTH_WITHOUT_BARS = 88
BAR_WIDTH = 15
CHANNEL_WIDTH = 16
UNLIMITED = 1_000_000
NOTABLE_UNATTRIBUTED = 0.1


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


PICTURES = (ReportFormat.PNG, ReportFormat.SVG, ReportFormat.PDF)
ENDINGS = {
    "": ReportFormat.TABLE,
    ".txt": ReportFormat.TABLE,
    ".csv": ReportFormat.CSV,
    ".json": ReportFormat.JSON,
    ".parquet": ReportFormat.PARQUET,
    ".png": ReportFormat.PNG,
    ".svg": ReportFormat.SVG,
    ".pdf": ReportFormat.PDF,
}


def report_command(
    model: Annotated[
        str | None,
        typer.Option(
            help="Attribution model of seeds/attribution_models.csv; linear if not given, or "
            "another that is enabled."
        ),
    ] = None,
    conversion_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Conversion type; purchase if not given, or the one with most conversions.",
        ),
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
    working: Annotated[
        bool, typer.Option("--working", help="Report from the warehouse's file, not the published.")
    ] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Print the channel report, export it, or draw it beside what the other models say.

    It is of what is published beside the warehouse's file; of that file itself if nothing is.
    """
    chosen = output_format or _format_of(output)
    if chosen in {ReportFormat.PARQUET, *PICTURES} and output is None:
        raise fail(f"A report as {chosen} needs a file: add --output FILE.{chosen}")
    request = ReportRequest(model, conversion_type, _day(start), _day(end))
    file = (None if working else published_file(warehouse)) or warehouse
    try:
        with open_warehouse(file) as connection:
            report = channel_report(connection, request)
            models = model_estimates(connection, report, request) if chosen in PICTURES else None
    except ReportError as error:
        raise fail(printable(str(error))) from None

    if output is not None and models is not None:
        _write(output, _drawn(report, models, request, chosen))
    elif output is not None:
        _write(output, _exported(report, request, chosen))
    elif chosen is ReportFormat.TABLE and sys.stdout.isatty():
        _print_on_terminal(report, request)
    else:
        sys.stdout.buffer.write(_exported(report, request, chosen))
    if chosen is ReportFormat.TABLE:
        _print_notes(report, request, file)
        if _is_newer(warehouse, file):
            say.print(
                f"{warehouse.absolute()} has been built since, and not been published: "
                "--working reports from it."
            )


def _format_of(output: Path | None) -> ReportFormat:
    """Take the format that a file's ending names, or a table where there is none."""
    ending = output.suffix.lower() if output else ""
    if ending not in ENDINGS:
        raise fail(
            f"A report cannot be written as {ending}. Let the file end in .csv, .json or .parquet, "
            ".png, .svg or .pdf for a picture, .txt or nothing for the table; or say with --format "
            "what it is to be."
        )
    return ENDINGS[ending]


def _is_newer(warehouse: Path, file: Path) -> bool:
    """Tell whether a warehouse's file is younger than what was read in its place."""
    return warehouse.is_file() and warehouse.stat().st_mtime > file.stat().st_mtime


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise cannot_write(output, error) from None
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
            table = _report_table(report, request, BAR_WIDTH)
            text = StringIO()
            Console(file=text, width=max(_whole_width(table), TABLE_WIDTH)).print(table)
            sink.write(text.getvalue().encode())
    return sink.getvalue()


def _drawn(
    report: ChannelReport, models: pa.Table, request: ReportRequest, chosen: ReportFormat
) -> bytes:
    """Draw the report as the content of a file."""
    # Loading what draws takes longer than a report.
    from tributary.report_picture import channel_picture

    return channel_picture(
        report, models, title=_title(report, request), caption=DATES, file_format=chosen
    )


def _print_on_terminal(report: ChannelReport, request: ReportRequest) -> None:
    """Print the table, without the bars if they do not fit, and wider if the numbers do not.

    Rich would leave out the channels where numbers need the whole width.
    """
    width = max(Console().width, WIDTH_WITHOUT_BARS)
    table = _report_table(report, request, BAR_WIDTH)
    if width < max(_least_width(table), TABLE_WIDTH):
        table = _report_table(report, request, bar_width=0)
    Console(highlight=False, width=max(width, _least_width(table))).print(table)


def _whole_width(table: Table) -> int:
    """Width of a table in which nothing is folded."""
    return Console(width=UNLIMITED).measure(table).maximum


def _least_width(table: Table) -> int:
    """Width of a table whose channels are folded, and whose numbers are not."""
    console = Console(width=UNLIMITED)
    longest = max(console.measure(channel).maximum for channel in table.columns[0].cells)
    return _whole_width(table) - max(longest - CHANNEL_WIDTH, 0)


def _print_notes(report: ChannelReport, request: ReportRequest, warehouse: Path) -> None:
    """Say what the table does not show, where the warehouse is and what to do next."""
    if not request.attribution_model and report.attribution_model != DEFAULT_MODELS[0]:
        say.print(
            f"{DEFAULT_MODELS[0]} is not enabled: this is {report.attribution_model} attribution; "
            "--model takes another."
        )
    if not request.conversion_type and report.other_types:
        say.print(
            f"The conversion type is {printable(report.conversion_type)}; --type takes another: "
            f"{_some_names(report.other_types)}."
        )
    for note in _channel_notes(report):
        say.print(note)
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
    say.print("Next: tributary report --output report.png draws it beside the other models;")
    say.print("      --help for other models, dates and files; make docs for the lineage site.")


def _some_names(names: Iterable[str]) -> str:
    return some_of([printable(name) for name in names])


def _channel_notes(report: ChannelReport) -> list[str]:
    """Say which channels look better or worse than they are, and how many conversions have none."""
    rows: list[dict[str, Any]] = report.channels.to_pylist()
    if not rows:
        return ["There are neither conversions nor spend in the period."]
    paid = [row for row in rows if row["is_paid"]]
    is_anything_credited = any(row["share"] for row in rows)
    free = [row["channel"] for row in paid if row["conversions"] and not row["spend"]]
    idle = [row["channel"] for row in paid if row["spend"] and not row["conversions"]]
    conversions = sum(row["conversions"] for row in rows)
    unattributed = sum(row["conversions"] for row in rows if row["channel"] == UNATTRIBUTED)
    notes = []
    if not conversions:
        spent = [row["channel"] for row in rows if row["spend"]]
        notes.append(
            f"There are no conversions of the type {printable(report.conversion_type)} in the "
            f"period; money was spent on {_some_names(spent) or 'nothing'}."
        )
    if free:
        notes.append(
            f"There is no spend of {_some_names(free)} here: paid channels that look free, and "
            "flatter the totals. Deliver their spend, or call them unpaid in "
            "seeds/channel_groups.csv."
        )
    if idle and is_anything_credited:
        notes.append(
            f"Money was spent on {_some_names(idle)}, and nothing is credited there. If people "
            "came that way, spend names the channel otherwise than its touchpoints do: "
            "marts.dim_channels has the names of both."
        )
    if unattributed > NOTABLE_UNATTRIBUTED * conversions:
        notes.append(
            f"{unattributed:,.0f} of {conversions:,.0f} conversions have no touchpoint, and no "
            "channel: marts.fct_conversions says why (unattributed_reason), marts.rpt_coverage "
            "has their share by source."
        )
    return notes


def _report_table(report: ChannelReport, request: ReportRequest, bar_width: int) -> Table:
    without_roas = "Unpaid channels" if report.has_revenue else "Conversions without revenue"
    table = Table(
        title=Text(_title(report, request)),
        title_justify="left",
        caption=f"Shares are of attributed conversions. {without_roas} have no ROAS.\n{DATES}",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Channel", min_width=CHANNEL_WIDTH, overflow="fold")
    for heading in ("Spend", "Conversions", "Revenue", "CPO", "ROAS", "Share"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)

    rows = report.channels.to_pylist()
    largest = max((row["share"] for row in rows), default=0) or 1
    for row in rows:
        share = row["share"]
        table.add_row(
            Text(printable(row["channel"])),
            *_measures(row, report.has_revenue),
            "" if row["channel"] == UNATTRIBUTED else f"{share:.1%}",
            "█" * round(bar_width * share / largest),
        )
    table.add_section()
    for row in report.totals.to_pylist():
        table.add_row(Text(row["channel"]), *_measures(row, report.has_revenue), "", "")
    return table


def _title(report: ChannelReport, request: ReportRequest) -> str:
    period = ""
    if request.start or request.end:
        period = f", {request.start or 'the first day'} to {request.end or 'the last day'}"
    conversion_type = printable(report.conversion_type)
    return f"{conversion_type} by channel, {report.attribution_model} attribution{period}"


def _measures(row: dict[str, float | None], has_revenue: bool) -> list[str]:
    """Spend, conversions, revenue, CPO and ROAS as text; a dash where they say nothing."""
    shown = {
        **row,
        "cpo": row["cpo"] if row["spend"] else None,
        "roas": row["roas"] if has_revenue else None,
    }
    return [
        "-" if shown[name] is None else f"{shown[name]:,.2f}"
        for name in ("spend", "conversions", "revenue", "cpo", "roas")
    ]

"""tributary check: what moved since the last publication, by how much, why it may matter."""

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tributary.checks import (
    FEWEST_DAYS,
    Check,
    Reading,
    Snapshot,
    common_period,
    compare,
    new_period,
)
from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    WarehouseOption,
    print_fitting,
    printable,
    say,
    table_console,
)
from tributary.publishing import CURRENT, GENERATIONS, MANIFEST, current_generation, generations
from tributary.report import DEFAULT_MODELS, UNATTRIBUTED, default_model
from tributary.runs import RUNS_FILE, read_runs
from tributary.snapshots import credited_models, read_snapshot

MOVED = 1
NOT_COMPARED = 2
SHOWN = 20
NAME_WIDTH = 24
LONGEST_LAG = 366


@contextlib.contextmanager
def _not_compared_on_errors() -> Iterator[None]:
    """Whatever else goes wrong ends with one line, and not with the status of what moved."""
    try:
        yield
    except typer.Exit:
        raise
    except SystemExit:
        # So ends whoever writes to a pipe that nobody reads from any more.
        raise _not_compared("Broken pipe: the standard output.") from None
    except OSError as error:
        # What could not be written would be tried again at the end, with a status of its own.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        place = error.filename or "the standard output"
        raise _not_compared(f"{error.strerror or error}: {place}.") from None
    except Exception as error:
        raise _not_compared(
            f"Stopped by a fault of tributary check, which please report: {error!r}."
        ) from None


@_not_compared_on_errors()
def check_command(
    level: Annotated[
        float, typer.Option(help="Probability of no alert where nothing changed.")
    ] = 0.99,
    tolerance: Annotated[
        float, typer.Option(help="Share by which published days may move.")
    ] = 0.01,
    model: Annotated[
        str | None,
        typer.Option(
            help="Attribution model; a rule, so that one day does not move others. linear if not "
            "given, or another that both have."
        ),
    ] = None,
    lag: Annotated[
        int,
        typer.Option(min=0, max=LONGEST_LAG, help="Newest days left out, where data come late."),
    ] = 0,
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Publication to compare with; the one before.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all comparisons as JSON.")] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Compare the current publication with the one before.

    Exit status: 0 nothing notable, or no earlier publication; 1 something moved beyond its
    interval; 2 they cannot be compared.
    """
    folder = warehouse.absolute().parent
    name = current_generation(folder)
    if name is None:
        raise _not_compared(f"Nothing is published in {folder}. Publish with: tributary build")
    if not (folder / CURRENT).exists():
        raise _not_compared(
            f"The folder of {name}, which is published, is gone. Publish anew: tributary build"
        )
    other = _previous(folder, name, against)
    if other is None:
        _say_alone(name, as_json)
        return
    try:
        manifests = [_manifest(folder, each) for each in (other, name)]
        files = [folder / GENERATIONS / each / warehouse.name for each in (other, name)]
        attribution_model = model or _default_model(files)
        previous, current = (
            read_snapshot(
                file,
                manifest["run_id"],
                datetime.fromisoformat(manifest["started_at"]).date(),
                attribution_model,
                lag,
            )
            for file, manifest in zip(files, manifests, strict=True)
        )
        readings = compare(previous, current, level, tolerance)
    except duckdb.CatalogException as error:
        missing = str(error).splitlines()[0]
        raise _not_compared(
            f"Another version of the project published {other} or {name}. {missing}"
        ) from None
    except (OSError, KeyError, json.JSONDecodeError, duckdb.Error) as error:
        raise _not_compared(
            f"Cannot read {other} or {name}: {printable(str(error))}. "
            "If a build has just pruned it, try again."
        ) from None
    except ValueError as error:
        raise _not_compared(str(error)) from None

    notable = [reading for reading in readings if reading.is_notable]
    notes = [*_days(previous, current, readings), *_changes(*manifests)]
    if not model and attribution_model != DEFAULT_MODELS[0]:
        notes.append(
            f"Credits are those of {attribution_model}: {DEFAULT_MODELS[0]} is not in both "
            "publications; --model takes another."
        )
    if as_json:
        typer.echo(_json(previous, current, level, tolerance, attribution_model, notes, readings))
    else:
        table = _table(previous, current, readings)
        print_fitting(table_console(), table, "Usual", "Expected", "When")
        _tell(notable, notes)
    if notable:
        raise typer.Exit(MOVED)


def _not_compared(message: str) -> typer.Exit:
    """Say why nothing was compared; the caller raises the returned exit."""
    say.print("Error:", style="red", end=" ")
    say.print(message)
    return typer.Exit(NOT_COMPARED)


def _previous(folder: Path, name: str, against: str | None) -> str | None:
    """Name the publication to compare with; None if there is only one."""
    kept = generations(folder)
    if against is None:
        # Names sort by time, but a clock may have run ahead: the log knows what came after what.
        logged = [run.run_id for run in read_runs(folder / RUNS_FILE) if run.run_id in kept]
        in_order = logged if name in logged else kept
        before = in_order[: in_order.index(name)]
        return before[-1] if before else None
    if against not in kept or against == name:
        others = ", ".join(each for each in kept if each != name) or "none"
        raise _not_compared(f"'{against}' is no other publication that is kept; these: {others}.")
    return against


def _say_alone(name: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"status": "alone", "current": name, "readings": []}, indent=2))
    say.print(
        f"{name} has no earlier publication to be compared with. "
        "Next: tributary check after the next tributary build (keep_generations is 2 or more)"
    )


def _manifest(folder: Path, name: str) -> dict[str, Any]:
    path = folder / GENERATIONS / name / MANIFEST
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {**content, "run_id": name}


def _default_model(files: Iterable[Path]) -> str:
    """Choose a model that all publications have which have any."""
    models = [set(listed) for listed in map(credited_models, files) if listed]
    return default_model(sorted(set.intersection(*models)) if models else [])


def _days(previous: Snapshot, current: Snapshot, readings: Iterable[Reading]) -> list[str]:
    """Say which days are compared, and which cannot be."""
    start, end = common_period(previous, current)
    first, last = new_period(previous, current)
    notes = []
    if start == end:
        notes.append("The two publications have no complete day in common.")
    if first == last:
        notes.append(
            "No complete day is new: both were built on one day, or an input is late "
            "(dbt source freshness)."
        )
    elif not any(reading.check is Check.NEW for reading in readings):
        notes.append(
            f"New days are not judged: that takes {FEWEST_DAYS} days before them, and there are "
            f"{(first - current.first_day).days}."
        )
    if previous.day_count and current.day_count and previous.first_day != current.first_day:
        notes.append(f"The first day was {previous.first_day} and is {current.first_day}.")
    return notes


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Say what differs in what made two publications: it may explain why published days moved."""
    notes = []
    for kind in ("settings", "seeds"):
        old, new = before.get(kind, {}), after.get(kind, {})
        changed = sorted(
            key for key in {*old, *new} if old.get(key, "none") != new.get(key, "none")
        )
        if changed:
            notes.append(f"Other {kind} than before: {', '.join(map(printable, changed))}.")
    if before.get("code_commit") != after.get("code_commit") or after.get("code_is_changed"):
        notes.append("Other code than before, or code with uncommitted changes.")
    return notes


def _json(
    previous: Snapshot,
    current: Snapshot,
    level: float,
    tolerance: float,
    attribution_model: str,
    notes: list[str],
    readings: list[Reading],
) -> str:
    first, end = new_period(previous, current)
    content = {
        "status": "moved" if any(reading.is_notable for reading in readings) else "quiet",
        "previous": previous.name,
        "current": current.name,
        "level": level,
        "tolerance": tolerance,
        "attribution_model": attribution_model,
        "new_days": [str(first + timedelta(days=day)) for day in range((end - first).days)],
        "notes": notes,
        "readings": [
            {
                **asdict(reading),
                "high": reading.high if math.isfinite(reading.high) else None,
                "sentence": _sentence(reading) if reading.is_notable else None,
                "next": _advice(reading)[1] if reading.is_notable else None,
            }
            for reading in readings
        ],
    }
    return json.dumps(content, indent=2, default=str, allow_nan=False)


def _table(previous: Snapshot, current: Snapshot, readings: list[Reading]) -> Table:
    """Show all totals, and what is notable of the rest."""
    table = Table(
        title=f"{current.name}, compared with {previous.name}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("")
    table.add_column("What", min_width=NAME_WIDTH, overflow="fold")
    table.add_column("When", no_wrap=True)
    for heading in ("Now", "Expected", "Usual", "Change"):
        table.add_column(heading, justify="right", no_wrap=True)
    notable_channels = 0
    for reading in readings:
        if reading.subject.channel:
            notable_channels += reading.is_notable
            if not reading.is_notable or notable_channels > SHOWN:
                continue
        table.add_row(
            Text("!" if reading.is_notable else "", style="red"),
            Text(_name(reading)),
            _period(reading),
            _amount(reading, reading.value),
            _amount(reading, reading.expected),
            _usual(reading),
            _change(reading),
        )
    return table


def _period(reading: Reading) -> str:
    if reading.check is Check.NEW:
        return str(reading.day)
    if reading.check is Check.PUBLISHED:
        return f"{reading.compared} days before"
    return "per new day" if reading.check is Check.VOLUME else "all rows"


def _usual(reading: Reading) -> str:
    low = _amount(reading, reading.low)
    return (
        f"{low} to {_amount(reading, reading.high)}" if math.isfinite(reading.high) else f"≥ {low}"
    )


def _tell(notable: list[Reading], notes: list[str]) -> None:
    """Say in sentences what moved, why it may matter, and what to look at."""
    lines = []
    advised: list[str] = []
    for reading in notable[:SHOWN]:
        lines.append(f"! {_sentence(reading)}")
        why, look = _advice(reading)
        # What is said of one channel need not be said again of each.
        if why not in advised:
            lines += [f"  {why}", f"  Next: {look}"]
            advised.append(why)
    if len(notable) > SHOWN:
        lines.append(f"And {len(notable) - SHOWN} more: tributary check --json")
    if not notable:
        lines.append("Nothing moved beyond its interval.")
    print_plain = Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print
    for line in [*lines, *notes]:
        print_plain(line)


def _name(reading: Reading) -> str:
    """Name what was compared, whatever characters the data put into names."""
    subject = reading.subject
    if reading.check is Check.UNMAPPED:
        return "Touchpoints without a channel"
    if reading.check in {Check.ROWS, Check.VOLUME, Check.REJECTED}:
        kind = {Check.ROWS: "used", Check.VOLUME: "added", Check.REJECTED: "rejected"}
        return printable(
            f"Rows {kind[reading.check]}: {subject.measure} of {subject.conversion_type}"
        )
    kind_of = f" ({subject.conversion_type})" if subject.conversion_type else ""
    of_channel = f": {subject.channel}" if subject.channel else ""
    return printable(f"{subject.measure.capitalize()}{kind_of}{of_channel}")


def _amount(reading: Reading, value: float) -> str:
    if reading.check in {Check.REJECTED, Check.UNMAPPED}:
        return f"{value:.1%}"
    is_whole = value == round(value) and (reading.subject.is_count or reading.check is Check.ROWS)
    return f"{value:,.0f}" if is_whole else f"{value:,.1f}"


def _change(reading: Reading) -> str:
    if reading.check in {Check.REJECTED, Check.UNMAPPED}:
        return f"{100 * (reading.value - reading.expected):+.1f} pts"
    if not reading.expected:
        return "new" if reading.value else "-"
    return f"{(reading.value - reading.expected) / abs(reading.expected):+.1%}"


def _sentence(reading: Reading) -> str:
    """Say what moved and by how much."""
    now, expected = (_amount(reading, value) for value in (reading.value, reading.expected))
    name, change = _name(reading), _change(reading)
    match reading.check:
        case Check.NEW if reading.day:
            days = f"{reading.day:%A}s" if reading.of_same_weekday else "days"
            return (
                f"{name}: {now} on {reading.day:%A} {reading.day}, where {expected} was to be "
                f"expected from {reading.compared} earlier {days} ({change}; usual is "
                f"{_usual(reading)})."
            )
        case Check.PUBLISHED:
            late = f" ({_amount(reading, reading.late)} may be late data)" if reading.late else ""
            return (
                f"{name}: {reading.days_moved} of {reading.compared} days published before moved, "
                f"most of all {reading.day}, by {_amount(reading, reading.moved)} in all{late}: "
                f"{expected} became {now} ({change})."
            )
        case Check.ROWS:
            return f"{name}: {now}, where there were {expected} ({change})."
        case Check.VOLUME:
            return f"{name}: {now} per new day, where it was {expected} before ({change})."
        case _:
            return f"{name}: {now} of the rows added, where it was {expected} ({change})."


def _advice(reading: Reading) -> tuple[str, str]:
    """Say why a reading may matter, and what to look at next."""
    subject, is_rise = reading.subject, reading.value > reading.expected
    match reading.check:
        case Check.PUBLISHED:
            return (
                "Numbers that were reported already now read otherwise: rows were corrected, "
                "deleted or delivered twice, people were merged, or settings or code changed.",
                "what is said below of settings, seeds and code; marts.rpt_data_quality; "
                "the same query on both publications",
            )
        case Check.ROWS:
            return (
                "Rows that were there are gone: deleted by the source, a file left out, or now "
                "rejected.",
                "marts.rpt_data_quality; the input of that source",
            )
        case Check.VOLUME:
            return (
                "What comes in feeds the journeys of the days to come: a tag may have stopped or "
                "fire twice, or an input may be incomplete.",
                "dbt source freshness; the newest rows of that input",
            )
        case Check.REJECTED:
            return (
                "Rows that cannot be used are missing from every number."
                if is_rise
                else "Fewer rows are rejected: more is counted than before.",
                "marts.rpt_data_quality, which has the reasons and what to do",
            )
        case Check.UNMAPPED:
            return (
                "Their credit goes to (unknown) and is missing from the channels it belongs to."
                if is_rise
                else "Traffic that was (unknown) now has channels, which rise by it.",
                "marts.rpt_unmapped_traffic, which has the rows to add to the seed",
            )
        case Check.NEW if subject.measure == "spend":
            return (
                "Budgets were changed, or costs were imported in part or twice; CPO and ROAS of "
                "that day are off by as much.",
                "marts.rpt_channel_performance for that day; the bill of the platform",
            )
        case Check.NEW if subject.channel == UNATTRIBUTED:
            return (
                "Conversions without a touchpoint: touchpoints are lost (a tag, consent, a late "
                "file) or no longer known to be of the same person."
                if is_rise
                else "Fewer conversions than usual have no touchpoint.",
                "marts.fct_conversions where not is_attributed; marts.rpt_match_quality",
            )
        case Check.NEW if subject.channel:
            return (
                "A campaign began or ended, or its traffic is now taken for another channel's.",
                "whether another channel moved the other way that day; marts.rpt_unmapped_traffic",
            )
        case _:
            return (
                "More business, or the same rows delivered twice under other ids."
                if is_rise
                else "Less business, or an input that is late, incomplete or no longer recorded.",
                "marts.rpt_channel_performance for that day; marts.rpt_data_quality; "
                "dbt source freshness",
            )

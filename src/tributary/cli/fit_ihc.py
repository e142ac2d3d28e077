"""tributary fit-ihc: the parameters of the ihc model, from phase shares or from journeys."""

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from tributary.cli.console import (
    DEFAULT_WAREHOUSE,
    TABLE_WIDTH,
    WarehouseOption,
    cannot_write,
    fail,
    open_warehouse,
    say,
)
from tributary.ihc import Comparison, compare, fit_ihc, half_of, learn_ihc, phase_shares
from tributary.ihc_tables import read_journeys, read_results, seed_tables

SEEDS = Path("seeds")


def fit_ihc_command(
    results: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet with phase shares to fit: conversion_id, touchpoint_id (or "
            "session_id), initializer, holder, closer, ihc. Without it, the parameters are learnt "
            "from the journeys alone."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder for the seeds, made if it is not there.")
    ] = SEEDS,
    seed: Annotated[int, typer.Option(min=0, help="Which half of the journeys is held out.")] = 1,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before other parameters are replaced.")
    ] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Fit the ihc model's curves, weights and channel factors, and write them as seeds."""
    try:
        with open_warehouse(warehouse) as connection:
            # Before the fit, which takes its time.
            output.mkdir(parents=True, exist_ok=True)
            if results is None:
                parameters = learn_ihc(read_journeys(connection))
            else:
                journeys, observed = read_results(connection, results)
                conversions = int(journeys.conversion[-1]) + 1
                fitted = half_of(range(conversions), seed)
                held_out = ~fitted[journeys.conversion]
                halved = fit_ihc(journeys.of(fitted), observed.of(~held_out))
                _print_comparison(
                    compare(
                        journeys.of(~fitted),
                        phase_shares(journeys.of(~fitted), halved),
                        observed.of(held_out),
                    )
                )
                parameters = fit_ihc(journeys, observed)
                say.print(f"Fitted to the phase shares of all {conversions:,} journeys.")
    except ValueError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise cannot_write(output, error) from None
    if results is None:
        say.print(
            "Learnt from the journeys alone: curves from pauses and waits, equal weights, no "
            "channel factors (docs/methods/ihc.md). --results FILE fits to known phase shares."
        )
    contents = {
        output / f"{name}.csv": _csv([header, *rows])
        for name, (header, rows) in seed_tables(parameters).items()
    }
    try:
        replaced = [
            str(path)
            for path, content in contents.items()
            if path.exists() and path.read_bytes() != content
        ]
        if replaced and not yes:
            say.print(f"There are other parameters in {', '.join(replaced)}.")
            say.print("To keep them, say no, and have the new ones elsewhere: --output FOLDER")
            typer.confirm("Replace them?", abort=True, err=True)
        for path, content in contents.items():
            path.write_bytes(content)
            say.print(f"Wrote {path}: {len(content.splitlines()) - 1:,} rows.")
    except OSError as error:
        raise cannot_write(Path(error.filename or output), error) from None
    copy = "" if output.absolute() == SEEDS.absolute() else f"copy them into {SEEDS}/, "
    say.print(f"Next: {copy}dbt build, then tributary report --model ihc")


def _csv(rows: Iterable[tuple[object, ...]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _print_comparison(comparison: Comparison) -> None:
    """Show how near a fit on half of the journeys comes to the other half."""
    table = Table(
        title=f"Held-out half: {comparison.conversions:,} journeys of two or more touches",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Measure", min_width=16)
    table.add_column("Value", justify="right", no_wrap=True)
    for name, value in comparison.mean_absolute_error.items():
        table.add_row(f"Mean absolute error of {name}", f"{value:.5f}")
    table.add_row("Correlation of ihc", f"{comparison.correlation:.5f}")
    table.add_section()
    for channel, difference in comparison.channel_differences.items():
        total = comparison.channel_totals[channel]
        table.add_row(f"Total of {channel} ({total:,.1f} conversions)", f"{difference:+.2%}")
    Console(highlight=False, width=TABLE_WIDTH).print(table)

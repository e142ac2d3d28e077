"""tributary timings: where the time of the last dbt run went."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from tributary.cli.console import TABLE_WIDTH, fail, say
from tributary.timings import TEST_KINDS, NoRunError, Timing, by_layer, longest, read_timings


def timings_command(
    top: Annotated[int, typer.Option(min=1, help="How many nodes, the longest first.")] = 25,
    tests: Annotated[bool, typer.Option("--tests", help="Tests alone.")] = False,
    target: Annotated[
        Path, typer.Option(envvar="DBT_TARGET_PATH", help="dbt's target folder.")
    ] = Path("target"),
) -> None:
    """Print where the time of the last dbt run went: by layer, and node by node."""
    try:
        timings = read_timings(target)
    except NoRunError as error:
        raise fail(str(error)) from None
    console = Console(highlight=False, width=TABLE_WIDTH)
    if not tests:
        console.print(_layer_table(timings))
    shown = longest(each for each in timings if not tests or each.kind in TEST_KINDS)
    console.print(_node_table(shown[:top]))
    if len(shown) > top:
        rest = sum(each.seconds for each in shown[top:])
        say.print(f"And {len(shown) - top} shorter ones, {rest:.1f} s together: --top.")


def _layer_table(timings: list[Timing]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Layer", no_wrap=True)
    for heading in ("Nodes", "Seconds", "Share"):
        table.add_column(heading, justify="right", no_wrap=True)
    layers = by_layer(timings)
    whole = sum(each.seconds for each in layers)
    for each in layers:
        share = f"{each.seconds / whole:.0%}" if whole else "-"
        table.add_row(each.layer, str(each.nodes), f"{each.seconds:.1f}", share)
    table.add_section()
    table.add_row("all", str(len(timings)), f"{whole:.1f}", "")
    return table


def _node_table(timings: list[Timing]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Node")
    table.add_column("Layer", no_wrap=True)
    table.add_column("Made as", no_wrap=True)
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for each in timings:
        about = f" ({each.tested})" if each.tested and each.tested not in each.name else ""
        table.add_row(
            each.name + about, each.layer, each.materialized, f"{each.seconds:.2f}", each.status
        )
    return table

"""tributary simulate: a market whose truth is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pyarrow.parquet
import typer
from rich.progress import Progress

from tributary.cli.console import fail, say
from tributary.customer_records import simulate_customer_records
from tributary.market_files import ROWS_PER_GROUP, market_of, write_market
from tributary.simulation import DEMO_CHANNELS, Market, simulate

DAY = "%Y-%m-%d"
DEMO = Path("data/demo")


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
    output: Annotated[Path, typer.Option(help="Folder for the Parquet files.")] = DEMO,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Write any number of people in bounded memory: sessions, conversions and spend "
            "alone.",
        ),
    ] = False,
    channels: Annotated[
        int,
        typer.Option(min=1, help="With --stream: the demo's channels, cut into so many."),
    ] = len(DEMO_CHANNELS),
    processes: Annotated[
        int, typer.Option(min=1, help="With --stream: how many processes simulate.")
    ] = 1,
) -> None:
    """Simulate a market: sessions, conversions and spend, and the truth about its channels.

    With them what a call tracker, a customer database and a billing system would have recorded of
    the same people, and the truth about who is who.
    """
    if not stream and (channels != len(DEMO_CHANNELS) or processes > 1):
        raise fail("--channels and --processes need --stream.")
    if stream and output == DEMO:
        raise fail("--stream needs an --output of its own: the demo has its truth beside it.")
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task("Simulating people", total=people)
        try:
            output.mkdir(parents=True, exist_ok=True)
            if stream:
                counts = write_market(
                    output,
                    replace(market_of(channels, people, days), first_day=first_day.date()),
                    seed,
                    processes=processes,
                    progress=lambda done: progress.advance(task, done),
                )
            else:
                counts = _write_whole(
                    output,
                    Market(people=people, days=days, first_day=first_day.date()),
                    seed,
                    lambda done: progress.advance(task, done),
                )
        except ValueError as error:
            raise fail(str(error)) from None
        except OSError as error:
            raise fail(f"Cannot write to {output}: {error.strerror or error}.") from None
    written = ", ".join(f"{rows:,} rows of {name}" for name, rows in counts.items())
    say.print(f"Simulated {people:,} people over {days} days into {output}: {written}.")
    if output == DEMO:
        say.print("Next: make build, or dbt build in the environment.")
    else:
        say.print(f"Next: dbt build --vars '{{sources: [files], files_path: {output}}}'")


def _write_whole(
    output: Path, market: Market, seed: int, progress: Callable[[int], None]
) -> dict[str, int]:
    """Write a market with its truth and its customer records; give the rows of each file."""
    simulation = simulate(market, seed, progress)
    tables = {
        **vars(simulate_customer_records(simulation, seed)),
        "spend": simulation.spend,
        "truth": simulation.truth,
    }
    for name, table in tables.items():
        pyarrow.parquet.write_table(
            table, output / f"{name}.parquet", row_group_size=ROWS_PER_GROUP
        )
    return {name: table.num_rows for name, table in tables.items()}

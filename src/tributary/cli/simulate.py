"""tributary simulate: a market whose truth is known."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import pyarrow.parquet
import typer
from rich.progress import Progress

from tributary.cli.console import fail, say
from tributary.customer_records import simulate_customer_records
from tributary.simulation import Market, simulate

DAY = "%Y-%m-%d"
ROWS_PER_GROUP = 122_880  # DuckDB reads Parquet row groups in parallel; this is its own size


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
    """Simulate a market: sessions, conversions and spend, and the truth about its channels.

    With them what a call tracker, a customer database and a billing system would have recorded of
    the same people, and the truth about who is who.
    """
    market = Market(people=people, days=days, first_day=first_day.date())
    with Progress(console=say, transient=True) as progress:
        task = progress.add_task("Simulating people", total=people)
        simulation = simulate(market, seed, lambda done: progress.advance(task, done))
    tables = {
        **vars(simulate_customer_records(simulation, seed)),
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

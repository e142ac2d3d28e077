"""What the commands share: where they speak, how they fail, how they open the warehouse."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console

DEFAULT_WAREHOUSE = Path("warehouse/tributary.duckdb")
TABLE_WIDTH = 110

WarehouseOption = Annotated[
    Path, typer.Option(envvar="TRIBUTARY_WAREHOUSE", help="The warehouse's DuckDB file.")
]

say = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises the returned exit, which has status 1."""
    say.print("Error:", style="red", end=" ")
    say.print(message)
    return typer.Exit(1)


def cannot_write(path: Path, error: OSError) -> typer.Exit:
    """Say that a file cannot be written, and why; the caller raises the returned exit."""
    return fail(f"Cannot write {path}: {error.strerror or error}.")


@contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for reading.

    Raises
    ------
    typer.Exit
        If there is none, or another process has it open.
    """
    if not path.is_file():
        raise fail(f"There is no warehouse at {path.absolute()}. Make it with: make build")
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            yield connection
    except duckdb.IOException as error:
        raise fail(f"Cannot open the warehouse {path}: {_reason(error)}") from None


def _reason(error: duckdb.IOException) -> str:
    """Say why DuckDB cannot open a file, and what to do about it."""
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    if holder:
        program, process = holder.groups()
        return f"process {process} ({program}) has it open. Wait for it or close it, and try again."
    return "it is not a DuckDB file, or is damaged."

"""What the commands share: where they speak, how they fail, how they open the warehouse."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.table import Table

DEFAULT_WAREHOUSE = Path("warehouse/tributary.duckdb")
TABLE_WIDTH = 110
NAMES_SHOWN = 5

WarehouseOption = Annotated[
    Path, typer.Option(envvar="TRIBUTARY_WAREHOUSE", help="The warehouse's DuckDB file.")
]


class _Messages(Console):
    """Messages to whoever watches a command; it goes on where nobody does any more."""

    def on_broken_pipe(self) -> None:
        """Say nothing from now on, in place of ending the command in the middle of its work."""
        self.quiet = True
        # What is still to be written out would fail again, when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


say = _Messages(stderr=True, highlight=False, markup=False, soft_wrap=True)


def fail(message: str) -> typer.Exit:
    """Say what is wrong; the caller raises the returned exit, which has status 1."""
    say.print("Error:", style="red", end=" ")
    say.print(message)
    return typer.Exit(1)


def some_of(names: Sequence[str]) -> str:
    """List some names, and how many more there are."""
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")


def printable(text: str) -> str:
    """Escape what a terminal would obey rather than show, such as the end of a line."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def cannot_write(path: Path, error: OSError) -> typer.Exit:
    """Say that a file cannot be written, and why; the caller raises the returned exit."""
    return fail(f"Cannot write {path}: {error.strerror or error}.")


def table_console(pipe_width: int = TABLE_WIDTH) -> Console:
    """Give a console for tables: as wide as the terminal; a pipe has no width of its own."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else pipe_width)


def print_fitting(console: Console, table: Table, *dispensable: str) -> None:
    """Print a table, without as many of these columns as it takes to have room for the others."""
    for heading in dispensable:
        if _least_width(console, table) <= console.width:
            break
        table = _without(table, heading)
    console.print(table)


def _least_width(console: Console, table: Table) -> int:
    """Width of a table whose cells are folded between words, and not at all in no_wrap columns."""
    width = 3 * len(table.columns) - 1  # lines and padding, none of it at the edges
    for column in table.columns:
        sizes = [console.measure(cell) for cell in (column.header, *column.cells)]
        extents = [size.maximum if column.no_wrap else size.minimum for size in sizes]
        width += max(*extents, column.min_width or 0)
    return width


def _without(table: Table, heading: str) -> Table:
    kept = [column for column in table.columns if column.header != heading]
    narrower = Table(
        *(column.copy() for column in kept),
        title=table.title,
        title_justify=table.title_justify,
        box=table.box,
        pad_edge=table.pad_edge,
    )
    for cells in zip(*(column.cells for column in kept), strict=True):
        narrower.add_row(*cells)
    return narrower


@contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse for reading.

    Raises
    ------
    typer.Exit
        If there is none, it is something else, or another process has it open.
    """
    if not path.is_file():
        raise fail(f"There is no warehouse at {path.absolute()}. Make it with: make build")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise _cannot_open(path, error) from None
    try:
        with connection:
            yield connection
    except duckdb.IOException as error:
        raise _cannot_open(path, error) from None


def _cannot_open(path: Path, error: duckdb.Error) -> typer.Exit:
    return fail(f"Cannot open the warehouse {path}: {_reason(error)}")


def _reason(error: duckdb.Error) -> str:
    """Say why DuckDB cannot open a file, and what to do about it."""
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    if holder:
        program, process = holder.groups()
        return f"process {process} ({program}) has it open. Wait for it or close it, and try again."
    return "it is not a DuckDB file, or is damaged."

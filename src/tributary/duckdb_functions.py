"""Functions for DuckDB's SQL; dbt-duckdb adds them because profiles.yml names this module."""

import gzip
import os
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

_CHUNK = 1 << 20


def gzip_fault(path: str) -> str | None:
    """Say what is wrong with a gzip file, or None where it is whole.

    DuckDB reads a file that was cut as far as it goes, and compares no checksums.

    Raises
    ------
    OSError
        The file cannot be read at all.
    """
    try:
        with gzip.open(Path(path)) as file:
            while file.read(_CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return str(error)
    return None


def ends_in_carriage_return(path: str) -> bool:
    """Tell whether the last byte of a file, which may be compressed, is a carriage return.

    Raises
    ------
    OSError
        The file cannot be read at all.
    """
    last = b""
    if path.endswith(".gz"):
        with gzip.open(Path(path)) as compressed:
            while chunk := compressed.read(_CHUNK):
                last = chunk[-1:]
    else:
        with Path(path).open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            last = file.read()
    return last == b"\r"


@cache
def statement_fault(statement: str) -> str | None:
    """Say why a statement cannot be run, in DuckDB's words, or None where it can.

    It is tried in an empty database of its own, which reads no files: what it needs, such as a row
    to compute something of, it must bring along.
    """
    with duckdb.connect(config={"enable_external_access": False, "threads": 1}) as database:
        try:
            database.execute(statement)
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return None


class Plugin(BasePlugin):
    """What dbt-duckdb looks for."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Make the folder of a new database, which DuckDB does not."""
        if creds.path != ":memory:":
            Path(creds.path).parent.mkdir(parents=True, exist_ok=True)

    def configure_connection(self, conn: Any) -> None:
        """Add the functions to a database that was opened."""
        # A file may change between two calls.
        conn.create_function("gzip_fault", gzip_fault, null_handling="special", side_effects=True)
        conn.create_function("ends_in_carriage_return", ends_in_carriage_return, side_effects=True)
        conn.create_function("statement_fault", statement_fault, null_handling="special")

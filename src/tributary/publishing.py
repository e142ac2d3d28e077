"""Publish the marts of a warehouse as one generation, which readers see whole or not at all.

A folder of publications looks like this::

    current -> generations/20240301T060000.123Z-1f2e3d
    generations/20240301T060000.123Z-1f2e3d/   one per publication
        manifest.json                          what made it
        tributary.duckdb                       the marts as tables of the schema marts
        fct_conversions.parquet ...            the marts, one file each

A generation is written into a folder whose name begins with `.partial-`, brought to disk, renamed,
and only then does `current` point to it, by one rename. So whoever is killed at whatever moment
leaves the last publication as it was, and at most a folder that `remove_leftovers` recognises.
A generation that has to be rewritten, because a person is to be erased from it, is replaced as a
whole in the same way: readers see it with that person or without, and never half of each.

Whoever calls these functions sees to it that nobody else publishes into the folder meanwhile
(`tributary.build_lock`).
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = "marts"
HISTORY = "rpt_runs"
HISTORIES = {
    "rpt_coverage": "rpt_coverage_history",
    "rpt_data_quality": "rpt_data_quality_history",
}
"""Marts whose rows are kept from publication to publication, and under which name."""

MANIFEST = "manifest.json"
CURRENT = "current"
GENERATIONS = "generations"
PARTIAL = ".partial-"
REWRITTEN = ".rewritten"

STORAGE_VERSION = "v1.0.0"
"""Of the DuckDB file: clients of DuckDB 1.1 (September 2024) and later read all of it. DuckDB 1.0
opens it, and fails at a column of lists that are all empty."""

_PUBLICATION = '"publication under way"'
_COPY_OPTIONS = "format parquet, compression zstd"


@dataclass(frozen=True)
class PublishedMart:
    """A mart as it was published: rows, bytes of its Parquet file and their SHA-256 (hex)."""

    row_count: int
    byte_count: int
    sha256: str


def new_generation(moment: datetime) -> str:
    """Name a generation: its UTC time, by which names sort, and six random hexadecimal digits."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"


def current_generation(folder: Path) -> str | None:
    """Name the generation that `current` points to; None where nothing is published."""
    target = folder / CURRENT
    return target.readlink().name.removesuffix(REWRITTEN) if target.is_symlink() else None


def generations(folder: Path) -> list[str]:
    """Name the generations that are kept, oldest first."""
    home = folder / GENERATIONS
    if not home.is_dir():
        return []
    return sorted(
        path.name
        for path in home.iterdir()
        if not path.name.startswith(".") and not path.name.endswith(REWRITTEN)
    )


def published_file(warehouse: Path) -> Path | None:
    """Find the DuckDB file in which the marts of a warehouse are published.

    The path leads through `current`, so it names whatever is published when it is opened; it is one
    generation from then on, because an open file stays whole when its generation is pruned.

    Parameters
    ----------
    warehouse
        The working file of the builds.

    Returns
    -------
    Path | None
        None where nothing is published beside it.
    """
    path = warehouse.parent / CURRENT / warehouse.name
    return path if path.is_file() else None


def publish(
    build: Path,
    folder: Path,
    generation: str,
    marts: Sequence[str],
    manifest: Mapping[str, Any],
    history: pa.Table,
    file_name: str = "tributary.duckdb",
) -> dict[str, PublishedMart]:
    """Write a generation and make it the current one.

    Rows are sorted by all columns from left to right, so that a Parquet file has the same bytes
    whatever order the build left the rows in and however many threads write them.

    Of the marts in `HISTORIES` a second table holds the rows of every publication, by `run_id` and
    `started_at`: those that the newest publication has, and the new ones. So each carries all that
    came before it, and pruning loses nothing.

    Parameters
    ----------
    build
        DuckDB file with the marts in its schema `marts`; it is only read.
    folder
        Where generations are.
    generation
        Its name, as from `new_generation`; must not be there yet.
    marts
        Names of the tables to publish; nothing else leaves the build.
    manifest
        What made this generation, as JSON; rows and hashes of the marts are added under `marts`.
        Its `started_at`, if any, dates the rows in the histories.
    history
        All runs including this one; published as the mart `rpt_runs`.
    file_name
        Of the DuckDB file.

    Returns
    -------
    dict[str, PublishedMart]
        By name of the mart, `rpt_runs` and the histories not among them: their times differ from
        run to run.

    Raises
    ------
    OSError, duckdb.Error
        If something cannot be read or written; `current` is then as it was and no part of the
        generation is left.
    """
    home = folder / GENERATIONS
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = home / f"{PARTIAL}{generation}"
    partial.mkdir(mode=0o755)
    try:
        started_at = manifest.get("started_at")
        run = _RunRows(
            generation,
            # As all times of a warehouse: UTC without saying so.
            started_at and datetime.fromisoformat(started_at).astimezone(UTC).replace(tzinfo=None),
            [path for path in _histories(folder) if _is_parquet(path)],
        )
        published = _write_marts(build, partial, marts, history, run, file_name)
        _seal(partial, manifest, published)
        partial.rename(home / generation)
        bring_to_disk(home)
        make_current(folder, generation)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if current_generation(folder) != generation:
            shutil.rmtree(home / generation, ignore_errors=True)
        raise
    return published


def make_current(folder: Path, generation: str) -> None:
    """Let `current` point to a generation that is there, by one rename."""
    _point_to(folder, folder / GENERATIONS / generation)


def _point_to(folder: Path, generation: Path) -> None:
    link = folder / f"{PARTIAL}{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(generation.relative_to(folder))
    link.rename(folder / CURRENT)
    bring_to_disk(folder)


def rewrite(
    folder: Path,
    generation: str,
    file_name: str,
    columns: Mapping[str, Mapping[str, str]],
    tables: Mapping[str, pa.Table],
    notes: Mapping[str, Any],
) -> None:
    """Write a generation anew with other values in some columns, and put it in the old one's place.

    What was published is not changed but replaced, because bytes of rows that are updated stay in
    a DuckDB file. If this is killed, `finish_rewrites` goes on with it.

    Parameters
    ----------
    folder
        Where generations are.
    generation
        Its name.
    file_name
        Of the DuckDB file.
    columns
        By mart and column the SQL expression that takes its place. The row is called `mart`.
    tables
        By name what the expressions read besides.
    notes
        Added to the manifest.

    Raises
    ------
    OSError, duckdb.Error
        If something cannot be read or written; the generation is then as it was.
    """
    home = folder / GENERATIONS
    manifest = json.loads((home / generation / MANIFEST).read_text(encoding="utf-8"))
    file = home / generation / file_name
    partial = home / f"{PARTIAL}{generation}"
    partial.mkdir(mode=0o755)
    try:
        published = {}
        with _publication(file, partial / file_name) as connection:
            for name, table in tables.items():
                connection.register(name, table)
            for name in _tables_of(connection, file.stem):
                changes = ", ".join(
                    f"{expression} as {_quoted(column)}"
                    for column, expression in columns.get(name, {}).items()
                )
                query = (
                    f"select *{f' replace ({changes})' if changes else ''} "  # noqa: S608 - quoted
                    f"from {_quoted(file.stem)}.{SCHEMA}.{_quoted(name)} as mart"
                )
                if name in manifest["marts"]:
                    published[name] = _write_mart(connection, partial, name, query)
                else:
                    connection.execute(f"create table {_mart(name)} as {query}")
                    _copy(connection, name, partial / f"{name}.parquet")
        _seal(partial, {**manifest, **notes}, published)
        partial.rename(home / f"{generation}{REWRITTEN}")
        bring_to_disk(home)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finish_rewrites(folder)


def finish_rewrites(folder: Path) -> None:
    """Put every generation that was written anew in the place of the old one.

    A folder cannot be renamed over another. So `current` points to the new one under another name
    while the old one goes, and then to links to the same files under the old name.
    """
    home = folder / GENERATIONS
    for stand_in in sorted(home.glob(f"*{REWRITTEN}")):
        name = stand_in.name.removesuffix(REWRITTEN)
        is_current = current_generation(folder) == name
        if is_current:
            _point_to(folder, stand_in)
        if (home / name).exists():
            remove_generation(folder, name)
        partial = home / f"{PARTIAL}{name}"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(stand_in, partial, copy_function=os.link)
        bring_to_disk(partial)
        partial.rename(home / name)
        bring_to_disk(home)
        if is_current:
            make_current(folder, name)
        remove_generation(folder, stand_in.name)


def prune(folder: Path, keep: int, runs: Sequence[str] = ()) -> list[str]:
    """Remove all but the newest generations, and never the one that `current` points to.

    Parameters
    ----------
    folder
        Where generations are.
    keep
        How many stay; at least 1.
    runs
        All runs, the oldest first: a clock may have run ahead, and names have its time. What is
        none of them is older.

    Returns
    -------
    list[str]
        The generations removed.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}; at least 1 generation stays.")
    current = current_generation(folder)
    place = {name: index for index, name in enumerate(runs)}
    oldest_first = sorted(generations(folder), key=lambda name: place.get(name, -1))
    removed = [name for name in oldest_first[:-keep] if name != current]
    for name in removed:
        remove_generation(folder, name)
    return removed


def remove_generation(folder: Path, generation: str) -> None:
    """Remove a generation; one that is killed while it does so leaves a leftover, not a half."""
    path = folder / GENERATIONS / generation
    partial = path.with_name(f"{PARTIAL}{generation}")
    path.rename(partial)
    shutil.rmtree(partial)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what builds that were killed left half made, and return it."""
    leftovers = sorted(
        {path for home in (folder, folder / GENERATIONS) for path in home.glob(f"{PARTIAL}*")}
        | {spill for spill in [_spill(folder)] if spill.exists()}
    )
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return leftovers


@dataclass(frozen=True)
class _RunRows:
    """What a run adds its rows to: the files that histories are in so far.

    Every generation that is kept has them: the newest by name is not always the newest, as after a
    clock that ran ahead, and may be damaged.
    """

    run_id: str
    started_at: datetime | None
    files: Sequence[Path]


def damaged_histories(folder: Path) -> list[Path]:
    """Find the histories that cannot be read, which the next publication goes on without."""
    return [path for path in _histories(folder) if not _is_parquet(path)]


def _histories(folder: Path) -> list[Path]:
    """List the files of histories in all generations."""
    return [
        path
        for generation in generations(folder)
        for path in sorted((folder / GENERATIONS / generation).glob("*.parquet"))
        if path.stem in HISTORIES.values()
    ]


def _is_parquet(path: Path) -> bool:
    """Tell whether a file is whole, as far as its end says: what was cut has none."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _write_marts(
    build: Path,
    partial: Path,
    marts: Iterable[str],
    history: pa.Table,
    run: _RunRows,
    file_name: str,
) -> dict[str, PublishedMart]:
    """Write the DuckDB file and the Parquet files of a generation into its folder."""
    published = {}
    with _publication(build, partial / file_name) as connection:
        for name in sorted(marts):
            query = f"from {_quoted(build.stem)}.{SCHEMA}.{_quoted(name)}"
            published[name] = _write_mart(connection, partial, name, query)
            if name in HISTORIES:
                _add_to_history(connection, name, run)
                _copy(connection, HISTORIES[name], partial / f"{HISTORIES[name]}.parquet")
        connection.register("history", history)
        connection.execute(f"create table {_mart(HISTORY)} as from history")
        _copy(connection, HISTORY, partial / f"{HISTORY}.parquet")
    return published


def _add_to_history(connection: duckdb.DuckDBPyConnection, mart: str, run: _RunRows) -> None:
    """Write the rows of a published mart behind those of the runs before."""
    name = HISTORIES[mart]
    rows = (
        "select $run_id as run_id, cast($started_at as timestamp) as started_at, * "  # noqa: S608
        f"from {_mart(mart)}"
    )
    files = [_text(path) for path in run.files if path.stem == name]
    if files:
        # Columns that one of them lacks are empty there.
        rows += (
            " union all by name select distinct * "  # noqa: S608 - the paths are quoted
            f"from read_parquet([{', '.join(files)}], union_by_name = true)"
        )
    connection.execute(
        f"create table {_mart(name)} as select * from ({rows}) order by all",  # noqa: S608
        {"run_id": run.run_id, "started_at": run.started_at},
    )


def _write_mart(
    connection: duckdb.DuckDBPyConnection, partial: Path, name: str, query: str
) -> PublishedMart:
    """Write the rows of a query, sorted, as a table and as a Parquet file."""
    connection.execute(f"create table {_mart(name)} as from ({query}) order by all")
    path = partial / f"{name}.parquet"
    row_count = _copy(connection, name, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PublishedMart(row_count, path.stat().st_size, digest)


def _tables_of(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """Name the tables of an attached generation."""
    rows = connection.execute(
        "select table_name from duckdb_tables() "
        "where database_name = $database and schema_name = $schema order by table_name",
        {"database": database, "schema": SCHEMA},
    ).fetchall()
    return [name for (name,) in rows]


def _seal(
    partial: Path, manifest: Mapping[str, Any], published: Mapping[str, PublishedMart]
) -> None:
    """Write the manifest of a generation, and bring its files to disk for reading only."""
    content = {**manifest, "marts": {name: asdict(mart) for name, mart in published.items()}}
    (partial / MANIFEST).write_text(
        json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    # Published files are never changed. Without the right to write, a client that forgets to
    # open the DuckDB file read-only is refused, where it would lock all others out.
    mode = partial.stat().st_mode & 0o444
    for path in partial.iterdir():
        path.chmod(mode)
        bring_to_disk(path)
    bring_to_disk(partial)


@contextmanager
def _publication(build: Path, output: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a build for reading and a new DuckDB file for writing, which is closed whole.

    It may take as much memory, and spills to the same place, as dbt (profiles.yml).
    """
    spill = _spill(output.parent.parent.parent)
    config: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(spill)}
    if limit := os.environ.get("TRIBUTARY_MEMORY_LIMIT"):
        config["memory_limit"] = limit
    with duckdb.connect(config=config) as connection:
        # Marts that are views name the database they are of, which DuckDB calls by its file.
        connection.execute(f"attach {_text(build)} as {_quoted(build.stem)} (read_only)")
        connection.execute(
            f"attach {_text(output)} as {_PUBLICATION} (storage_version '{STORAGE_VERSION}')"
        )
        connection.execute(f"create schema {_PUBLICATION}.{SCHEMA}")
        yield connection
        connection.execute(f"checkpoint {_PUBLICATION}")
        connection.execute(f"detach {_PUBLICATION}")
    shutil.rmtree(spill, ignore_errors=True)


def _spill(folder: Path) -> Path:
    """Say where a publication spills to: where dbt does, under a name of its own, or beside it."""
    chosen = os.environ.get("TRIBUTARY_SPILL_FOLDER")
    if not chosen:
        return folder / GENERATIONS / f"{PARTIAL}spill"
    name = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    return Path(chosen) / f"{PARTIAL}{name}"


def _copy(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> int:
    """Write a published table as Parquet, in the order of its rows, and count them."""
    ((row_count,),) = connection.execute(
        f"copy {_mart(name)} to {_text(path)} ({_COPY_OPTIONS})"
    ).fetchall()
    return int(row_count)


def _mart(name: str) -> str:
    return f"{_PUBLICATION}.{SCHEMA}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def bring_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

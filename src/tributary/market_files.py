"""Markets of any size, written to files in bounded memory.

Rows come as a tracker exports them: one file of sessions per week, with the rows of a person here
and there in it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tributary.simulation import DEMO_CHANNELS, Market, spend_table, stream_lives

ROWS_PER_GROUP = 122_880
"""DuckDB reads Parquet row groups in parallel; this is its own size."""

LONG_ID = 20
"""Characters of a long id, about as many as a cookie of web analytics has."""

DAYS_PER_FILE = 7


def market_of(channels: int, people: int, days: int = 90) -> Market:
    """Make the market of the demo with another number of channels.

    Parameters
    ----------
    channels
        How many, at least 1. Beyond those of the demo its channels are cut into parts with names of
        their own, so that people are touched as often as in the demo and convert as often.
    people, days
        Of the market.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    if channels < 1:
        raise ValueError(f"There are {channels} channels; at least 1 is needed.")
    whole = sorted(DEMO_CHANNELS, key=lambda channel: channel.touches_per_day == 0)[:channels]
    cut = [channel for channel in whole if channel.touches_per_day]
    counts = [1 + len(range(place, channels - len(whole), len(cut))) for place in range(len(cut))]
    parts = [
        replace(
            channel,
            name=channel.name if part == 0 else f"{channel.name} {part + 1}",
            touches_per_day=channel.touches_per_day / count,
        )
        for channel, count in zip(cut, counts, strict=True)
        for part in range(count)
    ]
    return Market(channels=(*parts, *whole[len(cut) :]), people=people, days=days)


def write_market(
    folder: Path,
    market: Market,
    seed: int,
    *,
    processes: int = 1,
    has_long_ids: bool = False,
    progress: Callable[[int], None] = lambda people: None,
) -> dict[str, int]:
    """Write sessions, conversions and spend of a market; memory does not grow with its people.

    Parameters
    ----------
    folder
        Where to, without anything in it: sessions_<first day of the week>.parquet,
        conversions.parquet, spend.parquet.
    market, seed, processes
        As of `stream_lives`.
    has_long_ids
        Whether users, sessions and conversions get ids of 20 hexadecimal characters, the first of
        the MD5 of their short ids. DuckDB keeps up to 12 characters in place, and longer texts cost
        more; cookies are longer.
    progress
        Called after each chunk with the number of people finished in it.

    Returns
    -------
    dict
        How many rows of sessions, conversions and spend there are.

    Raises
    ------
    ValueError
        If there is something in the folder, because what is left of another market would be read
        with it; or if there is nobody in the market.
    """
    if not market.people:
        raise ValueError("people is 0; there is nothing to write.")
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty. Name a new folder.")
    touch_counts = np.zeros((market.days, len(market.channels), 2), dtype=np.int64)
    with ExitStack() as stack:
        engine = stack.enter_context(duckdb.connect(config={"threads": 1}))
        sessions = [
            stack.enter_context(_Buffer(folder / f"sessions_{day}.parquet", "started_at"))
            for day in np.datetime64(market.first_day)
            + np.arange(0, market.days, DAYS_PER_FILE).astype("timedelta64[D]")
        ]
        conversions = stack.enter_context(_Buffer(folder / "conversions.parquet", "converted_at"))
        for lives in stream_lives(market, seed, processes):
            touch_counts += lives.touch_counts
            of_lives = _with_long_ids(engine, lives.sessions) if has_long_ids else lives.sessions
            day = pc.days_between(
                pa.scalar(market.first_day), of_lives["started_at"].cast(pa.date32())
            ).to_numpy()
            ends = np.searchsorted(day, np.arange(len(sessions) + 1) * DAYS_PER_FILE)
            for file, begin, end in zip(sessions, ends, ends[1:], strict=False):
                file.add(of_lives.slice(begin, end - begin))
            conversions.add(
                _with_long_ids(engine, lives.conversions) if has_long_ids else lives.conversions
            )
            progress(lives.people)
        spend = spend_table(market, touch_counts)
        pyarrow.parquet.write_table(spend, folder / "spend.parquet")
    return {
        "sessions": sum(file.rows for file in sessions),
        "conversions": conversions.rows,
        "spend": spend.num_rows,
    }


def _with_long_ids(engine: duckdb.DuckDBPyConnection, records: pa.Table) -> pa.Table:
    """Replace ids by the beginning of their MD5; the order of the rows stays."""
    ids = [name for name in records.column_names if name.endswith("_id")]
    replaced = ", ".join(f"left(md5({name}), {LONG_ID}) as {name}" for name in ids)
    return engine.sql(f"select * replace ({replaced}) from records").to_arrow_table()  # noqa: S608


class _Buffer:
    """A Parquet file to which rows are added, sorted by time within each row group."""

    def __init__(self, path: Path, time: str) -> None:
        self._path, self._time = path, time
        self._waiting: list[pa.Table] = []
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self.rows = 0

    def __enter__(self) -> "_Buffer":
        return self

    def add(self, records: pa.Table) -> None:
        """Add rows; they are written when there are enough for a row group."""
        self._waiting.append(records)
        self.rows += records.num_rows
        if sum(table.num_rows for table in self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        records = pa.concat_tables(self._waiting).sort_by(self._time)
        self._waiting = []
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(
                self._path, records.schema, compression="zstd"
            )
        self._writer.write_table(records, row_group_size=ROWS_PER_GROUP)

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()

"""The floor of a build: what DuckDB needs at least for the same rows, with integers for keys.

Each statement does the work that a stage of the build cannot do without, and nothing else: no
strings, no checks, no keys of sources, no contracts. It runs in a process of its own, so that its
memory is its own, on tables that are made beforehand and not counted.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tributary.benchmarks import floor_process
from tributary.benchmarks.peer_candidates import (
    PATHS,
    RAW,
    SEPARATOR,
    TOUCHES,
)
from tributary.benchmarks.warehouse import BenchmarkError

DATABASE = "floors.duckdb"

MASK_BITS = 64

# Persons and channels as integers. Neither counted nor free: what raw ids cost is shown beside.
ENCODE = """
create or replace table channels as
select channel, cast(row_number() over (order by channel) - 1 as usmallint) as number
from (select distinct channel from read_parquet('{sessions}'));

create or replace table people as
select user_id, cast(row_number() over () as integer) as person
from (
    select user_id from read_parquet('{sessions}')
    union
    select user_id from read_parquet('{conversions}')
);

create or replace table touches as
select person, started_at as touched_at, number as channel
from read_parquet('{sessions}')
inner join people using (user_id)
inner join channels using (channel);

-- Time in microseconds above, channel in the lowest 12 bits.
create or replace view packed_touches as
select person, (epoch_us(touched_at) << 12) | channel as packed
from touches;

create or replace table conversions as
select cast(row_number() over () as integer) as conversion, person, converted_at, revenue
from read_parquet('{conversions}') inner join people using (user_id)
"""


# Journeys that converted; then what was left open: touches of people after their last conversion.
_JOURNEYS = f"""
create or replace view peer_touches as
with ends as (
    select person, max(converted_at) as last_converted_at from conversions group by person
),

numbered as (
    select conversion as journey, touched_at, channel as number, true as converted from journeys
    union all
    select -person, touched_at, channel, false
    from touches left join ends using (person)
    where last_converted_at is null or touched_at >= last_converted_at
)

select
    journey,
    row_number() over (partition by journey order by touched_at, number) as touch_number,
    channel,
    converted
from numbered inner join channels using (number);

create or replace view peer_paths as
with paths as (
    select
        string_agg(channel, '{SEPARATOR}' order by touch_number) as path,
        any_value(converted) as converted
    from peer_touches
    group by journey
)

select
    path,
    count(*) filter (converted) as conversions,
    count(*) filter (not converted) as nulls
from paths
group by path
"""  # noqa: S608 - a constant


@dataclass(frozen=True)
class Floor:
    """One statement, and the stage of the build that it is the floor of."""

    name: str
    stage: str
    statement: str


FLOORS = (
    Floor(
        "read and sum",
        "reading",
        "select sum(person), sum(epoch_us(touched_at)), sum(channel) from touches",
    ),
    Floor(
        "sort by person and time",
        "touchpoints",
        """
        create or replace table sorted_touches as
        select * from touches order by person, touched_at
        """,
    ),
    Floor(
        "journeys by a hash join, the window as an inequality",
        "journeys",
        """
        create or replace table journeys as
        select conversions.conversion, touches.touched_at, touches.channel
        from touches inner join conversions using (person)
        where
            touches.touched_at < conversions.converted_at
            and touches.touched_at >= conversions.converted_at - interval {lookback_days} day
        """,
    ),
    Floor(
        "transition counts by lead over packed integers",
        "transition counts",
        """
        create or replace table transition_counts as
        with steps as (
            select
                packed & 4095 as from_channel,
                lead(packed) over (partition by person order by packed) & 4095 as to_channel
            from packed_touches
        )

        select from_channel, to_channel, count(*) as transitions from steps group by all
        """,
    ),
    Floor(
        "channel sets by bit_or of masks",
        "channel sets",
        """
        create or replace table channel_sets as
        with sets as (select person, {masks} from touches group by person)

        select * exclude (person), count(*) as people from sets group by all
        """,
    ),
    Floor(
        "credits of three rules",
        "credits",
        """
        create or replace table credits as
        with placed as (
            select
                *,
                row_number() over (partition by conversion order by touched_at, channel) as place,
                count(*) over (partition by conversion) as touches
            from journeys
        )

        select
            conversion,
            touched_at,
            channel,
            cast(place = 1 as double) as first_touch,
            cast(place = touches as double) as last_touch,
            1.0 / touches as linear
        from placed
        """,
    ),
    Floor(
        "ordered lists of channels by sorting packed integers",
        "path lists",
        """
        create or replace table paths as
        with lists as (
            select list_transform(list_sort(list(packed)), lambda key: key & 4095) as path
            from packed_touches
            group by person
        )

        select path, count(*) as people from lists group by path
        """,
    ),
)
"""In the order in which they run: credits read the journeys."""


@dataclass(frozen=True)
class FloorCost:
    """What a floor took.

    Attributes
    ----------
    name, stage
        Of the floor; the stage is empty for what is shown beside the floors.
    wall_seconds, cpu_seconds
        Of the statement alone.
    peak_bytes
        Most memory of the process, with Python and DuckDB themselves.
    """

    name: str
    stage: str
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: float


def run_floors(
    files: Path, scratch: Path, lookback_days: int, settings: Mapping[str, str]
) -> Iterator[FloorCost]:
    """Run every floor on a folder of sessions and conversions.

    Parameters
    ----------
    files
        Folder with sessions_*.parquet and conversions.parquet.
    scratch
        Folder for the tables; they are left there.
    lookback_days
        The window of journeys.
    settings
        Of DuckDB, such as memory_limit.

    Raises
    ------
    BenchmarkError
        If a statement fails.
    """
    yield _measured(
        "raw ids to integers (beside the floors)", "", _encoding(files), scratch, settings
    )
    with duckdb.connect(str(scratch / DATABASE), read_only=True) as connection:
        ((channels,),) = connection.execute("select count(*) from channels").fetchall()
    for floor in FLOORS:
        statement = floor.statement.replace("{masks}", _masks(channels))
        statement = statement.replace("{lookback_days}", str(lookback_days))
        yield _measured(floor.name, floor.stage, statement, scratch, settings)


def write_journeys(files: Path, scratch: Path, settings: Mapping[str, str]) -> None:
    """Write the journeys that the floors have made, as the peers take them.

    Parameters
    ----------
    files
        Folder of the raw files; it becomes visible in `scratch` under the name the peers know.
    scratch
        Folder of the floors' tables, and for the files.
    settings
        Of DuckDB.
    """
    (scratch / RAW).symlink_to(files.absolute())
    with duckdb.connect(str(scratch / DATABASE), config=dict(settings)) as connection:
        connection.execute(_JOURNEYS)
        for table, file, order in (("peer_touches", TOUCHES, ""), ("peer_paths", PATHS, "path")):
            rows = f"from {table}" + (f" order by {order}" if order else "")
            connection.execute(f"copy ({rows}) to '{scratch / file}' (format parquet)")


def _encoding(files: Path) -> str:
    statement = ENCODE.replace("{sessions}", f"{files}/sessions_*.parquet")
    return statement.replace("{conversions}", f"{files}/conversions.parquet")


def _masks(channels: int) -> str:
    """One mask per 64 channels."""
    return ", ".join(
        f"bit_or(case when channel >= {first} and channel < {first + MASK_BITS} "
        f"then cast(1 as ubigint) << (channel - {first}) else 0 end) as mask_{first}"
        for first in range(0, max(1, channels), MASK_BITS)
    )


def _measured(
    name: str, stage: str, statement: str, scratch: Path, settings: Mapping[str, str]
) -> FloorCost:
    work = {"database": str(scratch / DATABASE), "statement": statement, "settings": dict(settings)}
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", floor_process.__name__],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise BenchmarkError(f"The floor {name!r} failed: {reason}")
    return FloorCost(name=name, stage=stage, **json.loads(done.stdout))

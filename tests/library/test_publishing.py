"""A generation is published whole or not at all, whoever reads, kills or fills the disk."""

import errno
import hashlib
import json
import os
import resource
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from processes import PROCESSES
from tributary.build_lock import BuildRunningError, build_lock
from tributary.publishing import (
    GENERATIONS,
    HISTORIES,
    MANIFEST,
    current_generation,
    finish_rewrites,
    generations,
    make_current,
    new_generation,
    prune,
    publish,
    published_file,
    remove_leftovers,
    rewrite,
)

FILE = "tributary.duckdb"
HISTORY = pa.table({"run_id": ["one", "two"]})
MARTS = ("fct_one", "fct_two")
ROWS = 4_000


def generation(number: int) -> str:
    """Name generations so that they sort by number."""
    return new_generation(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number))


def make_build(path: Path, number: int, rows: int = ROWS) -> Path:
    """Make a build whose two marts say in every row which build they are of."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as build:
        build.execute("create schema marts; create schema restricted")
        build.execute("create table restricted.people as select 'someone@example.org' as email")
        build.execute("create table marts.not_of_this_project as select 1 as one")
        for mart in MARTS:
            build.execute(
                f"create table marts.{mart} as select {number} as build, hash(range) as id, "
                f"['a', 'b'] as path, 0.1::decimal(38, 10) as revenue from range({rows})"
            )
    return path


def publish_build(build: Path, folder: Path, name: str) -> None:
    publish(build, folder, name, MARTS, {"run_id": name}, HISTORY, FILE)


def publish_on_and_on(builds: list[Path], folder: Path, first: int) -> None:
    """Publish one build after another, as cleanly as `tributary build` does, until killed."""
    (folder / "started").touch()
    for number in count(first):
        remove_leftovers(folder)
        publish_build(builds[number % len(builds)], folder, generation(number))
        prune(folder, 3)


def build_of(folder: Path) -> int:
    """Which build is published; fails unless what is published is whole."""
    home = folder / GENERATIONS / str(current_generation(folder))
    manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["run_id"] == home.name
    assert {path.name for path in home.iterdir()} == {
        FILE, MANIFEST, "rpt_runs.parquet", *(f"{mart}.parquet" for mart in MARTS)
    }  # fmt: skip
    builds = set()
    with duckdb.connect(str(home / FILE), read_only=True) as connection:
        for mart in MARTS:
            path = home / f"{mart}.parquet"
            assert (
                hashlib.sha256(path.read_bytes()).hexdigest() == manifest["marts"][mart]["sha256"]
            )
            for relation in (f"marts.{mart}", f"read_parquet('{path}')"):
                builds |= set(
                    connection.execute(
                        f"select build, count(*) from {relation} group by 1"
                    ).fetchall()
                )
    ((build, rows),) = builds
    assert rows == ROWS
    return int(build)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where generation 0 is published."""
    build = make_build(tmp_path / "build.duckdb", 0)
    publish_build(build, tmp_path, generation(0))
    yield tmp_path
    # Killed processes included, nobody leaves anything that the next run does not recognise.
    remove_leftovers(tmp_path)
    assert list(tmp_path.rglob(".partial-*")) == []


def test_only_named_marts_are_published(folder: Path) -> None:
    file = published_file(folder / FILE)
    assert file is not None
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        assert tables == [("marts", name) for name in (*MARTS, "rpt_runs")]
        assert connection.execute("select * from marts.rpt_runs").fetchall() == [("one",), ("two",)]
    for path in (folder / GENERATIONS).rglob("*.*"):
        assert b"someone@example.org" not in (path.read_bytes() if path.is_file() else b"")


@pytest.mark.fault(
    done="a client that tries to write into what is published",
    expected="no right to",
)
def test_nobody_can_change_what_is_published(folder: Path) -> None:
    home = folder / "current"
    assert stat.S_IMODE(home.stat().st_mode) & 0o022 == 0
    for path in home.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o333 == 0, path


def test_older_clients_can_open_the_file(folder: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{folder / 'current' / FILE}' as published (read_only)")
        ((tags,),) = connection.execute(
            "select tags from duckdb_databases() where database_name = 'published'"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.0.0")


def test_bytes_depend_on_rows_alone(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).permutation(150_000)
    hashes = []
    for seed, threads in ((1, 1), (2, 4)):
        build = tmp_path / f"{seed}.duckdb"
        shuffled = np.random.default_rng(seed).permutation(numbers)
        with duckdb.connect(str(build), config={"threads": threads}) as connection:
            connection.register("numbers", pa.table({"number": shuffled}))
            connection.execute(
                "create schema marts; create table marts.fct as select number % 1000 as day, "
                "case when number % 7 = 0 then null else hash(number)::varchar end as name, "
                "number / 3 as share, [number, null] as path from numbers"
            )
        published = publish(build, tmp_path, f"{seed}", ["fct"], {}, HISTORY, FILE)
        hashes.append(published["fct"].sha256)
    assert hashes[0] == hashes[1]


def test_an_empty_mart_and_no_mart_at_all_are_published(tmp_path: Path) -> None:
    build = make_build(tmp_path / "build.duckdb", 1, rows=0)
    published = publish(build, tmp_path, "one", MARTS, {}, HISTORY, FILE)
    assert [mart.row_count for mart in published.values()] == [0, 0]
    assert publish(build, tmp_path, "two", [], {}, HISTORY, FILE) == {}
    assert current_generation(tmp_path) == "two"


def test_quality_of_every_publication_is_kept_though_generations_are_pruned(tmp_path: Path) -> None:
    build = tmp_path / FILE
    started_at = "2024-01-31T23:30:00Z"
    history = f"marts.{HISTORIES['rpt_coverage']}"
    names = [generation(number) for number in range(4)]
    # The first publication is of a time before there was such a mart, the third one lacks a column.
    for name, columns in zip(
        names,
        (None, "'a' as source, 0.5 as share", "'a' as source", "'a' as source, 0.75 as share"),
        strict=True,
    ):
        with duckdb.connect(str(build)) as connection:
            connection.execute("create schema if not exists marts")
            if columns:
                connection.execute(
                    f"create or replace table marts.rpt_coverage as select {columns}"
                )
        manifest = {"started_at": started_at}
        marts = ["rpt_coverage"] if columns else []
        published = publish(build, tmp_path / "out", name, marts, manifest, HISTORY, FILE)
        assert list(published) == marts
        prune(tmp_path / "out", 1)
    expected = [
        (names[1], datetime(2024, 1, 31, 23, 30), "a", 0.5),
        (names[2], datetime(2024, 1, 31, 23, 30), "a", None),
        (names[3], datetime(2024, 1, 31, 23, 30), "a", 0.75),
    ]
    with duckdb.connect(str(tmp_path / "out" / "current" / FILE), read_only=True) as connection:
        columns = "run_id, started_at, source, share::double"
        assert connection.execute(f"select {columns} from {history}").fetchall() == expected
        assert (
            connection.execute(
                f"select {columns} from '{tmp_path}/out/current/rpt_coverage_history.parquet'"
            ).fetchall()
            == expected
        )
        assert connection.execute("select * from marts.rpt_coverage").fetchall() == [("a", 0.75)]


def test_a_history_goes_on_from_the_newest_generation_whichever_is_current(tmp_path: Path) -> None:
    build = tmp_path / FILE
    with duckdb.connect(str(build)) as connection:
        connection.execute("create schema marts; create table marts.rpt_data_quality as select 1 x")
    names = [generation(number) for number in range(3)]
    for name in names:
        publish(build, tmp_path, name, ["rpt_data_quality"], {}, HISTORY, FILE)
        if name == names[1]:
            make_current(tmp_path, names[0])
    with duckdb.connect(str(tmp_path / "current" / FILE), read_only=True) as connection:
        assert connection.execute(
            "select run_id, x from marts.rpt_data_quality_history"
        ).fetchall() == [(name, 1) for name in names]


def test_a_history_misses_no_run_where_a_clock_ran_ahead(tmp_path: Path) -> None:
    build = tmp_path / FILE
    with duckdb.connect(str(build)) as connection:
        connection.execute("create schema marts; create table marts.rpt_data_quality as select 1 x")
    names = [generation(number) for number in (9, 1, 2)]
    for name in names:
        publish(build, tmp_path, name, ["rpt_data_quality"], {}, HISTORY, FILE)
    with duckdb.connect(str(tmp_path / "current" / FILE), read_only=True) as connection:
        assert connection.execute(
            "select run_id from marts.rpt_data_quality_history order by run_id"
        ).fetchall() == [(name,) for name in sorted(names)]


def test_publishing_keeps_to_the_memory_that_dbt_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIBUTARY_MEMORY_LIMIT", "300MB")
    monkeypatch.setenv("TRIBUTARY_SPILL_FOLDER", str(tmp_path / "spill"))
    build = tmp_path / FILE
    with duckdb.connect(str(build)) as connection:
        connection.execute(
            "create schema marts; create view marts.v as select current_setting('memory_limit') "
            "as memory, current_setting('temp_directory') as folder"
        )
    publish(build, tmp_path, generation(1), ["v"], {}, HISTORY, FILE)
    with duckdb.connect(str(tmp_path / "current" / FILE), read_only=True) as connection:
        ((memory, folder),) = connection.execute("from marts.v").fetchall()
    assert memory == "286.1 MiB"
    assert Path(folder).parent == tmp_path / "spill"


def test_what_a_killed_publication_spilled_elsewhere_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIBUTARY_SPILL_FOLDER", str(tmp_path / "spill"))
    build, home = tmp_path / FILE, tmp_path / "out"
    with duckdb.connect(str(build)) as connection:
        connection.execute(
            "create schema marts; create view marts.v as "
            "select current_setting('temp_directory') as folder"
        )
    publish(build, home, generation(1), ["v"], {}, HISTORY, FILE)
    with duckdb.connect(str(home / "current" / FILE), read_only=True) as connection:
        ((spilled_to,),) = connection.execute("from marts.v").fetchall()
    of_another = tmp_path / "spill/.partial-of-another"
    for folder in (Path(spilled_to), of_another):
        folder.mkdir(parents=True)
        (folder / "blocks").write_text("somebody")
    assert remove_leftovers(home) == [Path(spilled_to)]
    assert (of_another / "blocks").exists()


def test_pruning_keeps_the_newest_and_the_current_one(folder: Path) -> None:
    build = folder / "build.duckdb"
    for number in range(1, 5):
        publish_build(build, folder, generation(number))
    names = generations(folder)
    make_current(folder, names[1])
    assert prune(folder, 2) == [names[0], names[2]]
    assert generations(folder) == [names[1], names[3], names[4]]
    assert current_generation(folder) == names[1]
    # By the log names[3] came last: a clock had run ahead.
    assert prune(folder, 1, [names[4], names[1], names[3]]) == [names[4]]
    with pytest.raises(ValueError, match="keep is 0"):
        prune(folder, 0)


@pytest.mark.fault(
    done="a publication is pruned while somebody reads it",
    expected="the reader sees it whole to the end",
)
def test_an_open_file_outlives_its_generation(folder: Path) -> None:
    file = published_file(folder / FILE)
    with duckdb.connect(str(file), read_only=True) as connection:
        publish_build(make_build(folder / "build.duckdb", 1), folder, generation(1))
        prune(folder, 1)
        assert len(generations(folder)) == 1
        for mart in MARTS:
            builds = connection.execute(f"select distinct build from marts.{mart}").fetchall()
            assert builds == [(0,)]
    assert build_of(folder) == 1


def read_from_files(folder: Path, reads: int) -> None:
    """Read two marts of the DuckDB file by its path through `current`, as BI tools do."""
    for _ in range(reads):
        with duckdb.connect(
            str(folder / "current" / FILE), read_only=True, config={"threads": 1}
        ) as connection:
            ((one, two),) = connection.execute(
                "select min(one.build), max(two.build) "
                "from marts.fct_one as one cross join marts.fct_two as two"
            ).fetchall()
        assert one == two


def read_from_parquet(folder: Path, reads: int) -> None:
    """Read two Parquet files of the folder that `current` leads to."""
    for _ in range(reads):
        home = (folder / "current").resolve()
        one, two = (
            pyarrow.parquet.read_table(home / f"{mart}.parquet", use_threads=False)["build"]
            for mart in MARTS
        )
        assert one.unique() == two.unique()


@pytest.mark.fault(
    done="2,000 reads while generation after generation is published and pruned",
    expected="no read fails, none is torn",
)
def test_thousands_of_reads_during_publications_neither_fail_nor_are_torn(tmp_path: Path) -> None:
    builds = [make_build(tmp_path / f"{number}.duckdb", number, rows=9) for number in range(3)]
    publish_build(builds[0], tmp_path, generation(0))
    readers = [
        PROCESSES.Process(target=read_from_files, args=(tmp_path, 250)),
        PROCESSES.Process(target=read_from_parquet, args=(tmp_path, 1_750)),
    ]
    for reader in readers:
        reader.start()
    published = 0
    while any(reader.is_alive() for reader in readers):
        published += 1
        publish_build(builds[published % 3], tmp_path, generation(published))
        prune(tmp_path, 20)
    assert [reader.exitcode for reader in readers] == [0, 0]
    assert published > 20


@pytest.mark.fault(
    done="SIGKILL at 20 random moments of publishing",
    expected="a whole publication stands each time",
)
def test_a_publication_killed_at_any_moment_leaves_a_whole_one(folder: Path) -> None:
    rng = np.random.default_rng(1)
    builds = [make_build(folder / f"{number}.duckdb", number) for number in range(3)]
    kills, half_made = 20, 0
    for kill in range(kills):
        publisher = PROCESSES.Process(
            target=publish_on_and_on, args=(builds, folder, 100 * kill + 1)
        )
        publisher.start()
        while not (folder / "started").exists():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.08))
        publisher.kill()
        publisher.join()
        (folder / "started").unlink()
        half_made += bool(list(folder.rglob(".partial-*")))
        assert current_generation(folder) in generations(folder)[-2:]
        assert build_of(folder) in range(3)
    assert half_made > kills / 4
    assert current_generation(folder) != generation(0)
    # The next run needs no help.
    remove_leftovers(folder)
    publish_build(builds[1], folder, generation(9_999))
    assert build_of(folder) == 1


def publish_on_a_full_disk(build: Path, folder: Path, most_bytes: int) -> None:
    """Publish where no file can grow beyond a size: exit with 3 if that is said."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        publish_build(build, folder, generation(1))
    except (OSError, duckdb.Error):
        os._exit(3)


@pytest.mark.fault(
    done="files that cannot grow beyond 0 to 300,000 bytes while publishing",
    expected="the last publication stays, nothing half made is left",
)
@pytest.mark.parametrize("most_bytes", [0, 1_000, 20_000, 200_000, 300_000])
def test_a_full_disk_leaves_the_last_publication(folder: Path, most_bytes: int) -> None:
    build = make_build(folder / "build.duckdb", 1)
    publisher = PROCESSES.Process(target=publish_on_a_full_disk, args=(build, folder, most_bytes))
    publisher.start()
    publisher.join()
    assert publisher.exitcode == 3
    assert build_of(folder) == 0
    assert len(generations(folder)) == 1
    publish_build(build, folder, generation(2))
    assert build_of(folder) == 1


@pytest.mark.fault(
    done="the disk is full at the very last step, the swap",
    expected="the last publication stays, nothing is left of the new one",
)
def test_what_cannot_become_current_is_not_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = generations(folder)
    monkeypatch.setattr("tributary.publishing.make_current", on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        publish_build(folder / "build.duckdb", folder, generation(1))
    assert generations(folder) == before
    assert build_of(folder) == 0


def hold_lock(folder: Path, seconds: float) -> None:
    with build_lock(folder) as lock:
        lock.name_holders(os.getpid(), 12)
        (folder / "held").touch()
        time.sleep(seconds)


def test_a_second_build_is_refused_or_waits(tmp_path: Path) -> None:
    holder = PROCESSES.Process(target=hold_lock, args=(tmp_path, 60))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with (
        pytest.raises(
            BuildRunningError, match=rf"process {holder.pid} and 12, since 20\d\d-.* UTC"
        ),
        build_lock(tmp_path),
    ):
        pass
    # Whoever is killed holds nothing any more.
    holder.kill()
    with build_lock(tmp_path, wait=True), pytest.raises(BuildRunningError), build_lock(tmp_path):
        pass
    with build_lock(tmp_path):
        pass


class Killed(BaseException):
    """Nothing after this moment happens."""


def rewrite_revenue(folder: Path, name: str) -> None:
    """Give every row of fct_one another revenue, as read from a table."""
    rewrite(
        folder,
        name,
        FILE,
        {"fct_one": {"revenue": "(select max(value) from other)"}},
        {"other": pa.table({"value": [7.0]})},
        {"erasures": [{"rows": ROWS}]},
    )


def revenue_of(home: Path) -> float:
    """Revenue of a row of fct_one; fails unless all files of the generation agree."""
    manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    content = (home / "fct_one.parquet").read_bytes()
    assert manifest["marts"]["fct_one"]["sha256"] == hashlib.sha256(content).hexdigest()
    with duckdb.connect(str(home / FILE), read_only=True) as marts:
        ((lowest, highest, count, other),) = marts.execute(
            "select min(revenue)::double, max(revenue)::double, count(*), "
            "(select max(revenue)::double from marts.fct_two) from marts.fct_one"
        ).fetchall()
    assert (lowest, count, other) == (highest, ROWS, 0.1)
    revenues = pa.parquet.read_table(home / "fct_one.parquet")["revenue"].to_pylist()
    assert {lowest} == {float(revenue) for revenue in revenues}
    assert ("erasures" in manifest) == (lowest == 7)
    return float(lowest)


def test_a_generation_is_rewritten_whole(tmp_path: Path) -> None:
    build = make_build(tmp_path / FILE, 1)
    folder = tmp_path / "published"
    names = [generation(number) for number in (1, 2)]
    for name in names:
        publish_build(build, folder, name)
    with duckdb.connect(str(folder / "current" / FILE), read_only=True) as reader:
        for name in names:
            rewrite_revenue(folder, name)
        # Whoever has the old one open keeps it.
        assert reader.execute("select max(revenue)::double from marts.fct_one").fetchone() == (0.1,)
    assert generations(folder) == names
    assert current_generation(folder) == names[1]
    for home in (folder / "current", *(folder / GENERATIONS / name for name in names)):
        assert revenue_of(home) == 7
        assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o444}
    runs = pa.parquet.read_table(folder / "current" / "rpt_runs.parquet")
    assert runs.equals(HISTORY)
    assert sorted(path.name for path in (folder / GENERATIONS).iterdir()) == names


def test_a_rewriting_that_is_killed_leaves_one_whole_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = make_build(tmp_path / FILE, 1)
    done = False
    for moment in count():
        folder = tmp_path / str(moment)
        name = generation(1)
        publish_build(build, folder, name)
        calls = count()
        with monkeypatch.context() as patch:
            for owner, function in (
                (Path, "rename"),
                (Path, "symlink_to"),
                (os, "link"),
            ):
                patch.setattr(owner, function, dying(getattr(owner, function), calls, moment))
            try:
                rewrite_revenue(folder, name)
                done = True
            except Killed:
                pass
        assert revenue_of(folder / "current") in {0.1, 7}
        assert current_generation(folder) == name
        remove_leftovers(folder)
        finish_rewrites(folder)
        begun = revenue_of(folder / "current") == 7
        assert begun or not done
        rewrite_revenue(folder, name)
        assert revenue_of(folder / "current") == 7
        assert [path.name for path in (folder / GENERATIONS).iterdir()] == [name]
        if done:
            break
    assert moment > 10


def dying(function: Any, calls: Iterator[int], moment: int) -> Any:
    """Do as a function until its process is killed, before the call of that number."""

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= moment:
            raise Killed
        return function(*arguments, **options)

    return call

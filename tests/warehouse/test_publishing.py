"""tributary build publishes what is green, and nothing else, whatever happens on the way."""

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import tributary.cli.build as command
from processes import PROCESSES
from tributary.build_lock import LOCK_FILE, BuildLock, BuildRunningError, build_lock
from tributary.cli import app
from tributary.publishing import current_generation, generations
from tributary.runs import RUNS_FILE, Run, append_run, read_runs, run_of

from .conftest import write_csv

PRIVATE = ".partial-build"
FILE = "tributary.duckdb"


def fake_dbt(
    private: Path, target: Path, variables: str, full_refresh: bool, *locks: BuildLock
) -> int:
    """Do as dbt: a mart that remembers how often it was built, a person, and a test."""
    fails = "fail" in variables
    with duckdb.connect(str(private)) as build:
        build.execute("create schema if not exists marts; create schema if not exists restricted")
        build.execute("create table if not exists marts.fct_builds (build integer)")
        build.execute("insert into marts.fct_builds select count(*) from marts.fct_builds")
        build.execute("create or replace view marts.dim_view as select * from marts.fct_builds")
        build.execute("create or replace table restricted.people as select 'a@b.org' as email")
        build.execute("create table if not exists marts.of_an_older_project as select 1 as one")
        build.execute(
            "create or replace table marts.rpt_data_quality as "
            "select 'demo' as source, 'sessions' as entity, 'used' as outcome, 7 as row_count "
            "union all select 'demo', 'sessions', 'no_time', 2"
        )
    marts = ("fct_builds", "dim_view", "rpt_data_quality")
    nodes = {f"model.p.{name}": {"schema": "marts", "alias": name} for name in marts}
    nodes["model.p.people"] = {"schema": "restricted", "alias": "people"}
    results = [{"unique_id": name, "status": "success"} for name in nodes] + [
        {"unique_id": "test.p.adds_up.1f", "status": "fail" if fails else "pass"},
        {"unique_id": "test.p.is_fresh.2e", "status": "warn"},
    ]
    target.mkdir(exist_ok=True)
    (target / "manifest.json").write_text(json.dumps({"nodes": nodes}))
    (target / "run_results.json").write_text(json.dumps({"results": results}))
    return int(fails)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose warehouse is to be built by a dbt that takes no time."""
    (tmp_path / "dbt_project.yml").write_text("vars: {keep_generations: 2, sources: null}")
    write_csv(tmp_path / "seeds" / "groups.csv", "channel", [("Direct",)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIBUTARY_SOURCES", "demo")
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)
    monkeypatch.setattr(command, "_run_dbt", fake_dbt)
    return tmp_path / "warehouse"


def tributary(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def build(folder: Path, *arguments: str) -> Result:
    return tributary("build", "--warehouse", str(folder / FILE), *arguments)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_green_build_is_published_with_what_made_it(folder: Path) -> None:
    done = build(folder, "--vars", "{keep_generations: 3, start_date: 2024-01-31}")
    assert done.exit_code == 0, done.output
    (name,) = generations(folder)
    home = folder / "current"
    manifest = json.loads((home / "manifest.json").read_text())
    assert manifest["run_id"] == name
    assert manifest["settings"] == {
        "keep_generations": 3, "sources": "demo", "start_date": "2024-01-31"
    }  # fmt: skip
    assert list(manifest["seeds"]) == ["seeds/groups.csv"]
    assert manifest["sources"] == [
        {"source": "demo", "entity": "sessions", "row_count": 9, "rows_used": 7}
    ]
    assert manifest["tests"] == {"pass": 1, "warn": 1}
    assert manifest["warned"] == ["is_fresh"]
    assert manifest["started_at"] <= manifest["finished_at"]
    assert {mart: stated["row_count"] for mart, stated in manifest["marts"].items()} == {
        "dim_view": 1, "fct_builds": 1, "rpt_data_quality": 2
    }  # fmt: skip
    assert query(home / FILE, "select table_name from information_schema.tables order by 1") == [
        ("dim_view",),
        ("fct_builds",),
        ("rpt_data_quality",),
        ("rpt_data_quality_history",),
        ("rpt_runs",),
    ]
    for runs in ("marts.rpt_runs", f"read_parquet('{home}/rpt_runs.parquet')"):
        assert query(
            home / FILE, f"select run_id, status, rows_used, tests_passed, warned from {runs}"
        ) == [(name, "published", 7, 1, ["is_fresh"])]
    (run,) = read_runs(folder / RUNS_FILE)
    assert run_of(manifest) == run
    assert not (folder / PRIVATE).exists()


@pytest.mark.fault(
    done="a build by somebody who lets everybody write (umask 0)",
    expected="published files can be written by nobody, the working file is its owner's",
)
def test_files_are_for_those_who_may_see_them(folder: Path) -> None:
    previous = os.umask(0)
    try:
        assert build(folder).exit_code == 0
    finally:
        os.umask(previous)
    # The working file holds contacts; what is published holds none.
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    for path in (folder / "generations").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o444)
    for path in (folder / RUNS_FILE, folder / ".build.lock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_build_goes_on_from_the_last_and_keeps_so_many(folder: Path) -> None:
    for number in range(1, 4):
        assert build(folder).exit_code == 0
        ((count,),) = query(folder / "current" / FILE, "select count(*) from marts.fct_builds")
        assert count == number
    assert len(generations(folder)) == 2
    assert current_generation(folder) in generations(folder)
    assert build(folder, "--full-refresh").exit_code == 0
    assert query(folder / FILE, "select count(*) from marts.fct_builds") == [(1,)]
    shown = tributary("runs", "--warehouse", str(folder / FILE)).output
    assert shown.count("pruned") == 2
    assert shown.count("kept") == 1
    assert "look at is_fresh" in shown.split("kept")[0]


@pytest.mark.fault(
    done="a data test of severity error fails",
    expected="not published; readers see the last publication; the next build is published",
)
def test_a_failed_build_changes_nothing_that_is_read(folder: Path) -> None:
    assert build(folder).exit_code == 0
    name = current_generation(folder)
    failed = build(folder, "--vars", "{fail: true}")
    assert failed.exit_code == 1
    assert "Not published. Failed: adds_up." in failed.output
    assert f"Readers still see {name}." in failed.output
    assert current_generation(folder) == name
    for path in (folder / FILE, folder / "current" / FILE):
        assert query(path, "select count(*) from marts.fct_builds") == [(1,)]
    # Who wants to know why can look at what was built; the next build takes it away.
    assert query(folder / PRIVATE / FILE, "select count(*) from marts.fct_builds") == [(2,)]
    shown = " ".join(tributary("runs", "--warehouse", str(folder / FILE)).output.split())
    assert "correct adds_up; tributary build" in shown
    assert build(folder).exit_code == 0
    assert query(folder / "current" / FILE, "select status, failed from marts.rpt_runs") == [
        ("published", []), ("failed", ["adds_up"]), ("published", [])
    ]  # fmt: skip


@pytest.mark.fault(
    done="the disk is full before the first byte is published",
    expected="a failed run; the last publication stays; the next build is published",
)
def test_a_full_disk_while_publishing_is_a_failed_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(folder).exit_code == 0
    name = current_generation(folder)

    def on_a_full_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(command, "publish", on_a_full_disk)
        failed = build(folder)
    assert failed.exit_code == 1
    assert "No space left on device" in failed.output
    assert current_generation(folder) == name
    assert read_runs(folder / RUNS_FILE)[-1].failed == ("publishing",)
    assert build(folder).exit_code == 0


def test_code_is_changed_where_code_is_and_not_by_reports_and_data(
    folder: Path, tmp_path: Path
) -> None:
    assert build(folder).exit_code == 0
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.org"]
    for arguments in (["init", "-q"], ["add", "seeds", "dbt_project.yml"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "report.csv").touch()
    write_csv(tmp_path / "data" / "sessions.csv", "session_id", [])
    assert build(folder).exit_code == 0
    write_csv(tmp_path / "models" / "new.csv", "one", [])
    assert build(folder).exit_code == 0
    shutil.rmtree(tmp_path / "models")
    write_csv(tmp_path / "seeds" / "groups.csv", "channel", [("Other",)])
    assert build(folder).exit_code == 0
    runs = read_runs(folder / RUNS_FILE)
    assert [run.code_is_changed for run in runs] == [None, False, True, True]
    assert [run.code_commit is None for run in runs] == [True, False, False, False]


def test_runs_and_what_to_do_next_are_whole_on_a_narrow_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(folder).exit_code == 0
    assert build(folder, "--vars", "{fail: true}").exit_code == 1
    shown = {}
    for width in (110, 80, 60):
        monkeypatch.setattr(
            "tributary.cli.runs.table_console", partial(Console, highlight=False, width=width)
        )
        shown[width] = tributary("runs", "--warehouse", str(folder / FILE)).stdout
        lines = shown[width].splitlines()
        assert max(map(len, lines)) <= width
        for run in read_runs(folder / RUNS_FILE):
            assert sum(run.run_id in line for line in lines) == 1
        words = " ".join(shown[width].split())
        assert "look at is_fresh" in words
        assert "…" not in words
    assert "7 of 9" in shown[110]
    assert "Passed" not in shown[80]
    assert "Failed" in shown[80]


def kill(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.fault(
    done="the disk is full before dbt starts",
    expected="a failed run; the next build is published",
)
def test_a_full_disk_before_dbt_is_a_failed_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(command, "_take_over", on_a_full_disk)
        failed = build(folder)
    assert failed.exit_code == 1
    assert "Error: No space left on device" in failed.output
    assert [run.failed for run in read_runs(folder / RUNS_FILE)] == [("No space left on device",)]
    assert build(folder).exit_code == 0


def test_a_full_disk_has_room_for_the_log_when_the_copy_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_half(working_file: object, places: command.Places) -> None:
        places.private.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    def append_where_there_is_room(log: Path, run: Run) -> None:
        assert not (folder / PRIVATE / FILE).exists()
        append_run(log, run)

    monkeypatch.setattr(command, "_take_over", copy_half)
    monkeypatch.setattr(command, "append_run", append_where_there_is_room)
    assert build(folder).exit_code == 1
    assert [run.status for run in read_runs(folder / RUNS_FILE)] == ["failed"]


@pytest.mark.fault(
    done="Ctrl-C during dbt, and just before and after the run is logged",
    expected="logged once, as what it came to",
)
@pytest.mark.parametrize(
    ("place", "status"),
    [("_run_dbt", "failed"), ("append_run", "published"), ("prune", "published")],
)
def test_an_interrupted_run_is_logged_once_as_what_it_came_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, status: str
) -> None:
    function = getattr(command, place)

    def interrupted(*arguments: object) -> None:
        monkeypatch.setattr(command, place, function)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, place, interrupted)
    assert build(folder).exit_code != 0
    assert build(folder).exit_code == 0
    assert [(run.status, run.failed) for run in read_runs(folder / RUNS_FILE)] == [
        (status, ("interrupted",) if status == "failed" else ()),
        ("published", ()),
    ]


@pytest.mark.fault(
    done="a line of the log of runs cut short",
    expected="passed over; the next line is whole",
)
def test_a_line_of_the_log_that_was_cut_short_is_passed_over(folder: Path) -> None:
    assert build(folder).exit_code == 0
    with (folder / RUNS_FILE).open("a") as log:
        log.write('{"run_id": "2024')
    assert build(folder).exit_code == 0
    assert build(folder).exit_code == 0
    assert len(read_runs(folder / RUNS_FILE)) == 3


@pytest.mark.fault(
    done="a dbt that ends without having built anything, or by a signal",
    expected="a failed run that says so",
)
@pytest.mark.parametrize(
    ("status", "expected"), [(2, "settings or input"), (-9, "dbt, with status -9"), (0, "status 0")]
)
def test_a_dbt_that_built_nothing_is_a_failed_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, status: int, expected: str
) -> None:
    monkeypatch.setattr(command, "_run_dbt", lambda *_: status)
    failed = build(folder)
    assert failed.exit_code == 1
    assert expected in failed.output
    assert "Nothing is published yet." in failed.output
    assert not (folder / "current").exists()


def build_killed(folder: Path, place: str) -> None:
    """Build until a function is called, and be killed there."""
    os.chdir(folder.parent)
    with mock.patch("tributary.cli.build._run_dbt", fake_dbt), mock.patch(place, kill):
        build(folder)


@pytest.mark.fault(
    done="SIGKILL at each step from the end of dbt to the removal of old publications",
    expected="a whole publication stands; the next build cleans up, logs the run, publishes",
)
@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("tributary.cli.build.read_results", "killed"),
        ("tributary.publishing._write_marts", "killed"),
        ("tributary.publishing.make_current", "killed"),
        ("tributary.cli.build.append_run", "published"),
        ("tributary.cli.build._replace", "published"),
        ("tributary.cli.build.prune", "published"),
    ],
)
def test_the_run_after_a_killed_one_needs_no_help(folder: Path, place: str, status: str) -> None:
    assert build(folder).exit_code == 0
    first = current_generation(folder)
    process = PROCESSES.Process(target=build_killed, args=(folder, place))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (current_generation(folder) == first) == (status == "killed")
    assert query(folder / "current" / FILE, "select max(build) < 9 from marts.fct_builds") == [
        (True,)
    ]

    done = build(folder)
    assert done.exit_code == 0, done.output
    assert f"Removed what an earlier build left: {PRIVATE}" in done.output
    runs = read_runs(folder / RUNS_FILE)
    assert [run.status for run in runs] == ["published", status, "published"]
    published = [run.run_id for run in runs if run.status == "published"]
    assert set(generations(folder)) <= set(published)
    assert current_generation(folder) == published[-1]
    assert list(folder.rglob(".partial-*")) == []


@pytest.mark.fault(
    done="a second build at the same time",
    expected="refused with the first one's process, or waits with --wait",
)
def test_a_second_build_is_refused_or_waits(folder: Path) -> None:
    with build_lock(folder):
        refused = build(folder)
        assert refused.exit_code == 1
        assert f"A build is running: process {os.getpid()}, since 20" in refused.output
        assert "--wait" in refused.output
        waiting = threading.Thread(target=lambda: outcome.append(build(folder, "--wait")))
        outcome: list[Result] = []
        waiting.start()
        time.sleep(0.3)
        assert outcome == []
    waiting.join()
    assert outcome[0].exit_code == 0


def hold(path: Path, read_only: bool) -> None:
    """Keep a DuckDB file open."""
    with duckdb.connect(str(path), read_only=read_only):
        path.with_name("held").touch()
        time.sleep(60)


@contextmanager
def held(path: Path, *, read_only: bool) -> Iterator[int]:
    """Let another process have a DuckDB file open, and say which."""
    process = PROCESSES.Process(target=hold, args=(path, read_only))
    process.start()
    while not path.with_name("held").exists():
        time.sleep(0.01)
    assert process.pid is not None
    yield process.pid
    process.kill()
    process.join()
    path.with_name("held").unlink()


def run_slow_dbt(folder: Path) -> None:
    """Run, in place of dbt, a program that says what it was told and takes its time."""
    with (
        mock.patch("sys.executable", str(folder / "python")),
        build_lock(folder) as lock,
        build_lock(folder / "target") as target_lock,
    ):
        command._run_dbt(folder / "private", folder, "{a: 1}", True, lock, target_lock)


@pytest.mark.fault(
    done="the build is killed and its dbt goes on",
    expected="the next build is refused until that dbt has ended",
)
def test_a_dbt_that_outlives_its_build_holds_the_lock(tmp_path: Path) -> None:
    said = tmp_path / "said"
    (tmp_path / "dbt").write_text(
        f'#!/bin/sh\necho "$@" in "$TRIBUTARY_WAREHOUSE" >> {said}\nexec sleep 60\n'
    )
    (tmp_path / "dbt").chmod(0o700)
    process = PROCESSES.Process(target=run_slow_dbt, args=(tmp_path,))
    process.start()
    while not (said.exists() and said.read_text().endswith("\n")):
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.join()
    assert (
        said.read_text()
        == f"build --write-json --vars {{a: 1}} --full-refresh in {tmp_path / 'private'}\n"
    )

    build_id, dbt_id = json.loads((tmp_path / LOCK_FILE).read_text())["processes"]
    assert build_id == process.pid
    for held_on in (tmp_path, tmp_path / "target"):
        with (
            pytest.raises(BuildRunningError, match=f"process {build_id} and {dbt_id}, since"),
            build_lock(held_on),
        ):
            pass
    os.kill(dbt_id, signal.SIGKILL)
    with build_lock(tmp_path, wait=True):
        pass


@pytest.mark.fault(
    done="somebody reads the working file",
    expected="the build is published",
)
@pytest.mark.fault(
    done="somebody has the working file open for writing",
    expected="refused; the process is named; afterwards the build is published",
)
def test_readers_of_the_working_file_stop_no_build_and_writers_do(folder: Path) -> None:
    assert build(folder).exit_code == 0
    with held(folder / FILE, read_only=True):
        assert build(folder).exit_code == 0
    with held(folder / FILE, read_only=False) as process:
        refused = build(folder)
        assert refused.exit_code == 1
        assert f"process {process} (" in refused.output
    assert build(folder).exit_code == 0
    assert [run.status for run in read_runs(folder / RUNS_FILE)] == ["published"] * 3


@pytest.mark.fault(
    done="a plain dbt build beside tributary build",
    expected="the former is refused",
)
def test_a_dbt_build_beside_this_one_is_refused_by_duckdb(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(folder).exit_code == 0
    exits = []

    def with_another_beside(*arguments: Any) -> int:
        another = PROCESSES.Process(target=hold, args=(folder / FILE, False))
        another.start()
        another.join()
        exits.append(another.exitcode)
        return fake_dbt(*arguments)

    monkeypatch.setattr(command, "_run_dbt", with_another_beside)
    assert build(folder).exit_code == 0
    assert exits == [1]


@pytest.mark.fault(
    done="a working file that is no DuckDB file",
    expected="refused; the file is as it was",
)
def test_what_is_no_warehouse_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_text("letters")
    refused = build(folder)
    assert refused.exit_code == 1
    assert "it is not a DuckDB file" in refused.output
    assert (folder / FILE).read_text() == "letters"


@pytest.mark.fault(
    done="--vars that are no YAML, a folder that cannot be made",
    expected="refused in one line",
)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--vars", "[a, b]"], "--vars is '[a, b]'. Write it as YAML"),
        (["--vars", "{a: "], "--vars is '{a: '. Write it as YAML"),
        (["--vars", "{30: lookback_days}"], "--vars is '{30: lookback_days}'. Write it as YAML"),
        (["--vars", "{a: {1: 2, b: 3}}"], "--vars is '{a: {1: 2, b: 3}}'. Write it as YAML"),
        (["--vars", "{a: &x [*x]}"], "--vars is '{a: &x [*x]}'. Write it as YAML"),
        (["--vars", "[]"], "--vars is '[]'. Write it as YAML"),
        (["--warehouse", "/proc/none/tributary.duckdb"], "/proc/none"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    folder: Path, arguments: list[str], expected: str
) -> None:
    refused = build(folder, *arguments)
    assert refused.exit_code == 1
    assert expected in refused.output
    assert isinstance(refused.exception, SystemExit)


@pytest.mark.fault(
    done="memory or threads that are no amount, in the environment",
    expected="refused in one line",
)
@pytest.mark.parametrize(
    ("variable", "value"),
    [("TRIBUTARY_THREADS", "0"), ("TRIBUTARY_THREADS", "two"), ("TRIBUTARY_MEMORY_LIMIT", "lots")],
)
def test_amounts_that_are_none_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    refused = build(folder)
    assert refused.exit_code == 1
    assert f"{variable} is '{value}'. Allowed: a" in refused.output


@pytest.mark.fault(
    done="a build of another warehouse of the project, while one runs",
    expected="refused: dbt writes its account of both into one folder",
)
def test_builds_of_one_project_do_not_read_each_others_results(folder: Path) -> None:
    with build_lock(Path("target/build")):
        refused = build(folder)
    assert refused.exit_code == 1
    assert "A build is running" in refused.output
    assert not (folder / "current").exists()


@pytest.mark.fault(
    done="a file of the system's beside what is published, a damaged history, a run without a time",
    expected="the build is published, and names the history",
)
def test_small_damage_stops_no_publication(folder: Path) -> None:
    assert build(folder).exit_code == 0
    assert build(folder).exit_code == 0
    first, second = generations(folder)
    (folder / "current/.DS_Store").write_bytes(b"what a file manager leaves")
    (folder / "current/@eaDir").mkdir()
    damaged = folder / f"generations/{second}/rpt_data_quality_history.parquet"
    content = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(content[: len(content) // 2])
    with (folder / RUNS_FILE).open("a") as log:
        log.write(json.dumps({**read_runs(folder / RUNS_FILE)[0].as_json(), "started_at": "once"}))

    done = build(folder)
    assert done.exit_code == 0, done.output
    assert f"{damaged} cannot be read" in done.output
    third = generations(folder)[-1]
    runs = "select distinct run_id from marts.rpt_data_quality_history order by run_id"
    assert query(folder / "current" / FILE, runs) == [(first,), (third,)]


@pytest.mark.fault(
    done="a build into the folder of another warehouse",
    expected="refused",
)
def test_a_folder_is_of_one_warehouse(folder: Path) -> None:
    assert build(folder).exit_code == 0
    refused = tributary("build", "--warehouse", str(folder / "another.duckdb"))
    assert refused.exit_code == 1
    assert "publications of another warehouse" in refused.output


@pytest.mark.fault(
    done="a build outside of a project",
    expected="refused",
)
def test_outside_of_a_project_there_is_nothing_to_build(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert "There is no dbt project in" in build(folder).output
    assert "There are no runs in" in tributary("runs", "--warehouse", str(folder / FILE)).output


@pytest.mark.fault(
    done="the file of a seed is deleted",
    expected="refused; the file is named, and how to get it back or go without",
)
def test_a_seed_that_is_gone_is_named(folder: Path) -> None:
    Path("seeds/_seeds.yml").write_text(
        "seeds: [{name: groups, config: {column_types: {channel: varchar, is_paid: boolean}}}]"
    )
    assert build(folder).exit_code == 0
    Path("seeds/groups.csv").unlink()
    refused = build(folder)
    assert refused.exit_code == 1
    told = " ".join(refused.output.split())
    assert "there is no file seeds/groups.csv. Get it back, as with: git checkout --" in told
    assert "with this line alone, for no rows: channel,is_paid" in told


@pytest.mark.fault(
    done="variables of dbt that leave out tests or rows (DBT_EXCLUDE_RESOURCE_TYPES, DBT_EMPTY …)",
    expected="a build does not take them: what is published is tested and whole",
)
def test_a_build_leaves_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    (tmp_path / "dbt").write_text(f"#!/bin/sh\nenv > {said}\n")
    (tmp_path / "dbt").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name in (
        "DBT_EXCLUDE_RESOURCE_TYPES",
        "DBT_ENGINE_RESOURCE_TYPES",
        "DBT_EMPTY",
        "DBT_MINE",
    ):
        monkeypatch.setenv(name, "test")
    command._run_dbt(tmp_path / "private", tmp_path, "{}", False)
    given = {line.split("=")[0] for line in said.read_text().splitlines()}
    assert {name for name in given if name.startswith("DBT_")} == {"DBT_MINE"}


def test_a_link_in_place_of_the_working_file_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).symlink_to("elsewhere.duckdb")
    refused = build(folder)
    assert refused.exit_code == 1
    assert f"{FILE} is a link to elsewhere.duckdb. The working file is replaced" in refused.output
    assert [path.name for path in folder.iterdir()] == [FILE]


@pytest.mark.fault(
    done="`current` leads nowhere, or is gone",
    expected="the next build is published as `current`",
)
@pytest.mark.parametrize("target", ["generations/gone", None])
def test_a_link_that_leads_nowhere_is_replaced(folder: Path, target: str | None) -> None:
    assert build(folder).exit_code == 0
    (folder / "current").unlink()
    if target:
        (folder / "current").symlink_to(target)
    assert build(folder).exit_code == 0
    assert query(folder / "current" / FILE, "select count(*) from marts.fct_builds") == [(2,)]
    assert current_generation(folder) == generations(folder)[-1]


@pytest.mark.fault(
    done="`current` was copied and is a folder, not a link",
    expected="builds and erasures are refused and say how to put the link back; it is as it was",
)
def test_a_folder_in_place_of_the_link_is_left_alone(folder: Path) -> None:
    assert build(folder).exit_code == 0
    home = (folder / "current").resolve()
    (folder / "current").unlink()
    shutil.copytree(home, folder / "current")
    erase = ("erase", "--person", "u", "--yes", "--warehouse", str(folder / FILE))
    for refused in (build(folder), tributary(*erase)):
        assert refused.exit_code == 1
        told = " ".join(refused.output.split())
        assert "current is no link to a publication, but a copy" in told
        assert f"ln -s generations/{home.name} {folder / 'current'}" in told
    assert len(generations(folder)) == 1
    assert {path.name for path in (folder / "current").iterdir()} == {
        path.name for path in home.iterdir()
    }
    shutil.rmtree(folder / "current")
    assert build(folder).exit_code == 0


@pytest.mark.fault(
    done="half a publication among the kept ones: files lost, the manifest cut short",
    expected="the next builds are published, and remove it in its turn",
)
def test_half_a_generation_stops_no_build(folder: Path) -> None:
    assert build(folder).exit_code == 0
    half = folder / "generations" / str(current_generation(folder))
    half.joinpath(FILE).unlink()
    half.joinpath("manifest.json").unlink()
    half.joinpath("manifest.json").write_text('{"run_id": "20')
    for _ in range(2):
        assert build(folder).exit_code == 0
    assert half.name not in generations(folder)
    assert query(folder / "current" / FILE, "select count(*) from marts.fct_builds") == [(3,)]


@pytest.mark.fault(
    done="the log of runs is no text, or is gone",
    expected="the next build is published, with a log of its own run",
)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_log_that_cannot_be_read_stops_no_build(folder: Path, content: bytes | None) -> None:
    assert build(folder).exit_code == 0
    (folder / RUNS_FILE).unlink()
    if content is not None:
        (folder / RUNS_FILE).write_bytes(content)
    done = build(folder)
    assert done.exit_code == 0, done.output
    assert [run.run_id for run in read_runs(folder / RUNS_FILE)] == [current_generation(folder)]


@pytest.mark.fault(
    done="the clock goes back by a year between two builds",
    expected="the new build is what readers see, and no later one removes it",
)
def test_a_clock_that_goes_back_hides_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert build(folder).exit_code == 0
    moment = datetime.now(UTC) - timedelta(days=365)
    with monkeypatch.context() as a_year_before:
        clock = mock.Mock(now=lambda zone: moment)
        a_year_before.setattr(command, "datetime", clock)
        done = build(folder)
    assert done.exit_code == 0, done.output
    assert str(current_generation(folder)).startswith(f"{moment:%Y%m%d}")
    assert query(folder / "current" / FILE, "select count(*) from marts.fct_builds") == [(3,)]
    assert build(folder).exit_code == 0
    assert query(folder / "current" / FILE, "select count(*) from marts.fct_builds") == [(4,)]
    assert [run.status for run in read_runs(folder / RUNS_FILE)] == ["published"] * 4


@pytest.mark.fault(
    done="the private folder of a build was replaced by a file or a link",
    expected="the next build removes it, not what the link leads to, and is published",
)
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_strange_leftover_is_removed(folder: Path, tmp_path: Path, kind: str) -> None:
    folder.mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    if kind == "file":
        (folder / PRIVATE).touch()
    else:
        (folder / PRIVATE).symlink_to(tmp_path / "precious")
    assert build(folder).exit_code == 0
    assert not (folder / PRIVATE).exists()
    assert (tmp_path / "precious" / "file").exists()


@pytest.mark.fault(
    done="the record of a killed run was cut short as well",
    expected="the next build cleans up and is published",
)
def test_a_record_that_was_cut_short_stops_no_build(folder: Path) -> None:
    assert build(folder).exit_code == 0
    (folder / PRIVATE).mkdir()
    (folder / PRIVATE / "run.json").write_text('{"run_id": ')
    done = build(folder)
    assert done.exit_code == 0, done.output
    assert len(read_runs(folder / RUNS_FILE)) == 2


@pytest.mark.fault(
    done="the working file is gone",
    expected="the build begins with an empty one, and is published",
)
def test_without_its_working_file_a_build_begins_anew(folder: Path) -> None:
    for _ in range(2):
        assert build(folder).exit_code == 0
    (folder / FILE).unlink()
    assert build(folder).exit_code == 0
    assert query(folder / "current" / FILE, "select count(*) from marts.fct_builds") == [(1,)]

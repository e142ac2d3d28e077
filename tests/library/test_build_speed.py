import csv
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tributary.benchmarks import build_page, build_speed
from tributary.benchmarks.build_speed import (
    BETWEEN,
    LEFT_OUT,
    OTHER_MODELS,
    SMALL_PLAN,
    STAGES,
    START_UP,
    NodeCost,
    PeerCost,
    Plan,
    SizeResult,
    StageCost,
    copy_project,
    growth,
    node_costs,
    parsed_sizes,
    peer_costs,
    stage_costs,
    stage_of,
)
from tributary.benchmarks.floors import FLOORS, FloorCost, run_floors, write_journeys
from tributary.benchmarks.peer_candidates import ALL_CANDIDATES, PANDAS, Candidate, measure
from tributary.benchmarks.process_tree import Usage, watched
from tributary.benchmarks.warehouse import BenchmarkError, Cost
from tributary.cli import app
from tributary.market_files import market_of, write_market
from tributary.timings import Timing

PROJECT = Path(__file__).parents[2]


def node(name: str, layer: str, begin: float, end: float, kind: str = "model") -> Timing:
    return Timing(name, kind, layer, "", "", end - begin, begin, end, "success")


# Plans


@pytest.mark.parametrize(
    ("text", "sizes"), [("1e5,1e6", (100_000, 1_000_000)), ("7", (7,)), ("10, 20", (10, 20))]
)
def test_sizes_are_read(text: str, sizes: tuple[int, ...]) -> None:
    assert parsed_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "many", "0", "-5", "1.5", "1e6,1e5", "10,10", "1,,2"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Allowed: rising whole numbers"):
        parsed_sizes(text)


def test_the_command_of_a_plan_measures_it_again() -> None:
    plan = Plan((100, 200), channels=70, models="linear,markov", select=("+a", "b"))

    assert plan.command(Path("p.md")) == (
        "tributary benchmark build --sizes 100,200 --channels 70 --models linear,markov "
        '--select "+a b" --memory 8GB --seed 1 --peer-seconds 600 --output p.md'
    )
    assert SMALL_PLAN.command(Path("p.md")) == "tributary benchmark build --small --output p.md"


@pytest.mark.parametrize(
    ("models", "is_left_out"),
    [
        ("all", lambda name: False),
        ("target", lambda name: name in LEFT_OUT),
        ("linear, markov", lambda name: name not in ("linear", "markov")),
    ],
)
def test_the_copy_of_a_project_has_the_models_chosen(
    tmp_path: Path, models: str, is_left_out: Callable[[str], bool]
) -> None:
    plan = Plan((1,), models=models, memory_limit="3GB", spill=tmp_path / "spill", threads=1)

    copy = copy_project(PROJECT, tmp_path / "copy", plan)

    with (copy / "seeds" / "attribution_models.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (PROJECT / "seeds" / "attribution_models.csv").open(newline="") as file:
        before = list(csv.DictReader(file))
    assert [{**row, "is_enabled": ""} for row in rows] == [
        {**row, "is_enabled": ""} for row in before
    ]
    for row in rows:
        assert row["is_enabled"] == ("false" if is_left_out(row["attribution_model"]) else "true")
    profile = (copy / "profiles.yml").read_text()
    for setting in ("memory_limit: 3GB", f"temp_directory: {tmp_path}/spill", "TimeZone: UTC"):
        assert setting in profile
    assert "env_var(''TRIBUTARY_WAREHOUSE''" in profile


def test_an_unknown_model_or_a_folder_without_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="There are: all, target, first_touch"):
        copy_project(PROJECT, tmp_path / "copy", Plan((1,), models="linear,guess"))
    with pytest.raises(BenchmarkError, match="There is no dbt project in"):
        copy_project(tmp_path, tmp_path / "copy", Plan((1,)))


# Stages


@pytest.mark.parametrize(
    ("timing", "stage"),
    [
        (node("stg_files__sessions", "staging/files", 0, 1), "reading"),
        (node("int_rejected_rows", "intermediate/quality", 0, 1), "reading"),
        (node("int_touchpoints", "intermediate/identity", 0, 1), "touchpoints"),
        (node("int_transition_counts", "intermediate/aggregates", 0, 1), "transition counts"),
        (node("int_channel_sets", "intermediate/aggregates", 0, 1), "channel sets"),
        (node("int_paths", "intermediate/journeys", 0, 1), "path lists"),
        (node("int_hazard_points", "intermediate/hazard", 0, 1), "hazard aggregates"),
        (node("hazard", "python_models", 0, 1), "Python models"),
        (node("data_driven", "python_models", 0, 1), OTHER_MODELS),
        (node("fct_journeys", "marts/attribution", 0, 1), "marts"),
        (node("not_null", "test", 0, 1, "test"), "tests"),
        (node("click_ids", "seed", 0, 1, "seed"), "seeds and settings"),
    ],
)
def test_nodes_belong_to_stages(timing: Timing, stage: str) -> None:
    assert stage_of(timing) == stage


def test_every_floor_has_a_stage_and_every_folder_of_the_project_too() -> None:
    assert {floor.stage for floor in FLOORS} < set(STAGES)
    folders = {
        path.parent.relative_to(PROJECT / "models").as_posix()
        for path in (PROJECT / "models").rglob("*.sql")
    }
    for folder in folders:
        is_mart = folder.startswith("marts")
        assert (stage_of(node("x", folder, 0, 1)) == "marts") == is_mart, folder


USAGE = Usage(
    moments=np.array([100.0, 101, 102, 103, 104]),
    cpu_seconds=np.array([0.0, 2, 3, 4, 4]),
    written_bytes=np.array([0.0, 0, 10, 30, 30]),
    memory_bytes=np.array([5.0, 6, 9, 7, 1]),
)
TIMINGS = [
    node("stg_files__sessions", "staging/files", 101, 103),
    node("fct_journeys", "marts/attribution", 102, 103),
]


def test_stages_add_up_to_the_run_and_share_what_ran_at_once() -> None:
    floor = FloorCost("read and sum", "reading", 0.1, 0.2, 3.0)

    stages = stage_costs(TIMINGS, USAGE, {"reading": floor})

    assert [each.stage for each in stages] == [START_UP, "reading", "marts", BETWEEN]
    assert [each.nodes for each in stages] == [0, 1, 1, 0]
    assert [each.wall_seconds for each in stages] == pytest.approx([1, 1.5, 0.5, 1])
    assert [each.cpu_seconds for each in stages] == pytest.approx([2, 1.5, 0.5, 0])
    assert [each.written_bytes for each in stages] == pytest.approx([0, 20, 10, 0])
    assert [each.peak_bytes for each in stages] == [6, 9, 9, 7]
    assert [each.floor for each in stages] == [None, floor, None, None]
    nodes = node_costs(TIMINGS, USAGE)
    assert [each.timing.name for each in nodes] == ["stg_files__sessions", "fct_journeys"]
    assert [each.cpu_seconds for each in nodes] == pytest.approx([1.5, 0.5])


def test_growth_is_the_exponent_between_two_sizes() -> None:
    assert growth((10, 3.0), (1_000, 300.0)) == pytest.approx(1)
    assert growth((10, 1.0), (1_000, 10.0)) == pytest.approx(0.5)
    assert growth((10, 0.0), (1_000, 10.0)) is None


def test_the_watch_sees_what_a_process_and_its_children_use(tmp_path: Path) -> None:
    # The child of a child burns, holds and writes.
    work = (
        "import os, pathlib; x = b'x' * 60_000_000; pathlib.Path('out').write_bytes(x); "
        "os.sync(); sum(range(12_000_000))"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    with (
        subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path) as process,
        watched(process.pid) as watch,
    ):
        process.wait()

    usage = watch.usage()
    assert (np.diff(usage.moments) > 0).all()
    assert (np.diff(usage.cpu_seconds) >= 0).all()
    assert usage.cpu_seconds[-1] > 0.1
    assert usage.memory_bytes.max() > 60_000_000


# Floors


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_market(folder, market_of(70, people=400), seed=5, has_long_ids=True)
    return folder


Touches = dict[str, list[tuple[datetime, str]]]


def touches_by_person(files: Path) -> Touches:
    touches: Touches = {}
    for file in files.glob("sessions_*.parquet"):
        for row in pyarrow.parquet.read_table(file).to_pylist():
            touches.setdefault(row["user_id"], []).append((row["started_at"], row["channel"]))
    return {person: sorted(each) for person, each in touches.items()}


@pytest.fixture(scope="module")
def floors(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[FloorCost], Path]:
    scratch = tmp_path_factory.mktemp("floors")
    costs = list(run_floors(files, scratch, 90, {"memory_limit": "1GB"}))
    write_journeys(files, scratch, {"memory_limit": "1GB"})
    return costs, scratch


def rows(scratch: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(scratch / "floors.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_floors_do_the_work_of_their_stages_beyond_64_channels(
    files: Path, floors: tuple[list[FloorCost], Path]
) -> None:
    costs, scratch = floors
    touches = touches_by_person(files)

    assert [each.stage for each in costs] == ["", *(floor.stage for floor in FLOORS)]
    assert all(each.cpu_seconds > 0 and each.peak_bytes > 1e7 for each in costs)
    steps = Counter(
        (before[1], after[1]) for each in touches.values() for before, after in pairwise(each)
    )
    counted = rows(
        scratch,
        "select a.channel, b.channel, transitions from transition_counts "
        "inner join channels as a on a.number = from_channel "
        "inner join channels as b on b.number = to_channel",
    )
    assert {(a, b): count for a, b, count in counted} == steps
    sets = Counter(frozenset(channel for _, channel in each) for each in touches.values())
    counts = rows(scratch, "select people from channel_sets")
    assert sorted(count for (count,) in counts) == sorted(sets.values())
    assert rows(scratch, "select sum(people) from paths") == [(len(touches),)]
    paths = Counter(tuple(channel for _, channel in each) for each in touches.values())
    assert rows(scratch, "select count(*) from paths") == [(len(paths),)]


def test_credits_of_the_floor_and_of_pandas_agree_with_the_journeys(
    files: Path, floors: tuple[list[FloorCost], Path]
) -> None:
    _, scratch = floors
    linear = dict(
        rows(
            scratch,
            "select channels.channel, sum(linear) from credits "
            "inner join channels on channels.number = credits.channel group by all",
        )
    )
    expected: dict[str, float] = {}
    touches = touches_by_person(files)
    for row in pyarrow.parquet.read_table(files / "conversions.parquet").to_pylist():
        before = [each for each in touches.get(row["user_id"], []) if each[0] < row["converted_at"]]
        for _, channel in before:
            expected[channel] = expected.get(channel, 0) + 1 / len(before)

    assert linear == pytest.approx(expected)
    assert len(linear) > 10
    assert measure(PANDAS, scratch)["credits"] == pytest.approx(expected)


def test_journeys_that_are_too_long_as_texts_for_the_peers_end_no_benchmark(
    files: Path, floors: tuple[list[FloorCost], Path], tmp_path: Path
) -> None:
    shutil.copy(floors[1] / "floors.duckdb", tmp_path)
    plan = Plan(sizes=(400,), memory_limit="1MB")

    costs = list(peer_costs(plan, files, tmp_path, lambda text: None))

    assert {each.candidate.package for each in costs} >= {"pandas", "ChannelAttribution"}
    assert {each.failure for each in costs} == {
        "its input, journeys as texts, does not fit into 1MB"
    }


def test_the_peers_get_every_touch_of_the_journeys(
    files: Path, floors: tuple[list[FloorCost], Path]
) -> None:
    _, scratch = floors
    with duckdb.connect() as connection:
        paths = connection.execute(
            "select sum(conversions), sum(nulls) from read_parquet(?)",
            [str(scratch / "paths.parquet")],
        ).fetchall()
        journeys = connection.execute(
            "select count(distinct journey) filter (converted), "
            "count(distinct journey) filter (not converted) from read_parquet(?)",
            [str(scratch / "touches.parquet")],
        ).fetchall()
    assert paths == journeys
    assert min(paths[0]) > 0


# Pages


def a_result(touchpoints: int, seconds: float) -> SizeResult:
    floor = FloorCost("read and sum", "reading", seconds / 4, seconds / 8, 2e8)
    stages = (
        StageCost(START_UP, 0, 12.0, 10.0, 0.0, 1e8),
        StageCost("reading", 3, seconds, seconds, 5e6, 3e8, floor),
        StageCost("marts", 2, 1.0, 1.0, 1e6, 2e8),
    )
    return SizeResult(
        touchpoints,
        touchpoints // 40,
        cost=Cost(13.0 + seconds, 11.0 + seconds, 1),
        stages=stages,
        nodes=(
            NodeCost(node("markov", "python_models", 0, 3), 2.0, 2.5),
            NodeCost(node("int_touchpoints", "intermediate/identity", 0, 3), 2.0, 1.5),
        ),
        floors=(floor,),
        peers=(
            PeerCost(PANDAS, "", 1.25, 1.5, 4e8),
            PeerCost(ALL_CANDIDATES[1], "over 600 s"),
        ),
        warehouse_bytes=70_000_000,
    )


RESULTS = [
    a_result(1_000, 4.0),
    SizeResult(5_000, 100, failure="dbt build failed:\nbecause"),
    a_result(10_000, 40.0),
]


def test_the_page_shows_sizes_stages_nodes_and_peers() -> None:
    text = build_page.page(Plan((1, 2, 3)), RESULTS, "the command", "drawn.png", date(2024, 5, 6))

    assert "Measured on 2024-05-06" in text
    assert "the command" in text
    assert "](drawn.png)" in text
    assert "| 1,000 | 25 | 17.0 | 12.0 | 15.0 |  | 0.30 | 0.01 | 0.07 | 200 |" in text
    assert "| 4.0 | 1.0 | 4.0 | 8.0 |" in text
    assert "| 5,000 | 100 | dbt build failed: |" in text
    # 5 s beyond the start become 41 s at ten times the size.
    assert "| 10,000 | 250 | 53.0 | 12.0 | 51.0 | 0.91 |" in text
    assert "| reading | 3 | 40.0 | 40.0 | 0.30 | 5 | 250 | 1.00 |" in text
    assert "| int_touchpoints | intermediate/identity | 1.5 | 2.0 | 3.0 |" in text
    assert "touchpoints the seconds beyond the start-up grow with the power 0.91." in text
    assert "| markov | 2.5 | 2.5 |" in text
    assert "| 1,000 | journeys and three rules | pandas | 1.25 | 1.50 | 0.40 |" in text
    assert "| ChannelAttribution | over 600 s |" in text
    assert "all attribution models but ihc, survival, data_driven" in text


def test_the_picture_is_of_as_many_panels_as_there_is_to_see() -> None:
    both, alone = (build_page.picture(results) for results in (RESULTS, RESULTS[:2]))
    assert both.startswith(b"\x89PNG")
    # The width of a PNG; of one size there is no line to draw.
    assert int.from_bytes(alone[16:20]) < 0.7 * int.from_bytes(both[16:20])


def test_the_command_prints_what_was_measured_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_speed, "run", lambda *arguments: iter(RESULTS))
    output = tmp_path / "new" / "performance.md"

    shown = CliRunner().invoke(app, ["benchmark", "build", "--output", str(output)])

    assert shown.exit_code == 0, shown.output
    assert "10,000 touchpoints" in shown.stdout
    assert "5,000 touchpoints: dbt build failed" in shown.stderr
    assert "# How fast the build is" in output.read_text()
    assert output.with_suffix(".png").exists()


def test_the_printed_tables_cut_nothing_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "its input, journeys as texts, does not fit into 1MB"
    failed = replace(RESULTS[2], peers=(PeerCost(ALL_CANDIDATES[1], reason),))
    monkeypatch.setattr(build_speed, "run", lambda *arguments: iter([RESULTS[0], failed]))
    monkeypatch.setattr(
        "tributary.cli.benchmark.table_console", lambda _: Console(highlight=False, width=80)
    )

    shown = CliRunner().invoke(app, ["benchmark", "build"]).stdout

    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    # Each part of a table names its rows.
    assert shown.count("\n Stage ") > 2
    assert shown.count(" start-up of dbt ") == shown.count("\n Stage ")
    headings = " ".join(shown.split())
    for heading in ("Start-up", "Floored", "Floors", "Ratio", "Written"):
        assert heading in headings


def test_the_command_fails_where_nothing_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_speed, "run", lambda *arguments: iter(RESULTS[1:2]))

    shown = CliRunner().invoke(app, ["benchmark", "build"])

    assert shown.exit_code == 1
    assert "because" in shown.stderr


def test_a_wrong_size_is_an_error() -> None:
    shown = CliRunner().invoke(app, ["benchmark", "build", "--sizes", "lots"])

    assert shown.exit_code == 1
    assert "sizes is 'lots'" in shown.stderr


def test_candidates_are_told_apart() -> None:
    assert all(isinstance(each, Candidate) for each in ALL_CANDIDATES)
    assert len({(each.package, each.model) for each in ALL_CANDIDATES}) == len(ALL_CANDIDATES)

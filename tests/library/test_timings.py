import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tributary.cli import app
from tributary.timings import (
    NoRunError,
    Timing,
    by_layer,
    longest,
    own_seconds,
    read_timings,
    shares_of_moments,
)


def node(name: str, begin: float, end: float, layer: str = "marts") -> Timing:
    return Timing(name, "model", layer, "", "table", end - begin, begin, end, "success")


SPANS = st.tuples(st.floats(0, 50), st.floats(0, 50)).map(lambda span: (min(span), max(span)))


def test_a_node_alone_has_its_time_and_two_at_once_share_it() -> None:
    timings = [node("alone", 0, 4), node("first", 4, 10), node("second", 6, 8)]

    assert own_seconds(timings) == pytest.approx([4, 5, 1])


@given(st.lists(SPANS, max_size=6), st.lists(st.floats(0, 50), min_size=2, max_size=6, unique=True))
def test_every_moment_is_shared_out_whole(
    spans: list[tuple[float, float]], moments: list[float]
) -> None:
    timings = [node(str(place), *span) for place, span in enumerate(spans)]

    shares = shares_of_moments(timings, np.array(sorted(moments)))

    assert shares.shape == (len(spans) + 1, len(moments) - 1)
    assert (shares >= 0).all()
    assert shares.sum(axis=0) == pytest.approx(1)


@given(st.lists(SPANS, max_size=6))
def test_own_seconds_add_up_to_the_time_anything_ran(spans: list[tuple[float, float]]) -> None:
    timings = [node(str(place), *span) for place, span in enumerate(spans)]
    covered, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, reached))
        reached = max(reached, end)

    assert sum(own_seconds(timings)) == pytest.approx(covered, abs=1e-9)
    assert sum(each.seconds for each in by_layer(timings)) == pytest.approx(covered, abs=1e-9)


def test_no_time_passes_in_no_span() -> None:
    assert shares_of_moments([node("x", 0, 1)], np.array([3.0, 3.0])).tolist() == [[0], [0]]


def test_layers_and_nodes_are_sorted_by_time() -> None:
    timings = [node("b", 0, 1, "staging"), node("c", 1, 4), node("a", 4, 5, "staging")]

    assert [(each.layer, each.nodes) for each in by_layer(timings)] == [
        ("marts", 1),
        ("staging", 2),
    ]
    assert [each.name for each in longest(timings)] == ["c", "a", "b"]


def result(unique_id: str, seconds: float, status: str = "success") -> dict[str, Any]:
    step = {
        "started_at": "2024-01-01T00:00:10.500000Z",
        "completed_at": f"2024-01-01T00:00:{10.5 + seconds:09.6f}Z",
    }
    return {
        "unique_id": unique_id,
        "status": status,
        "execution_time": seconds,
        "timing": [step] if status != "skipped" else [],
    }


RESULTS = [
    result("model.tributary.fct_journeys", 2.0),
    result("model.tributary.markov", 3.0),
    result("model.tributary.stg_files__sessions", 0.25),
    result("test.tributary.not_null_fct_journeys_id.0123456789", 0.5, "pass"),
    result("test.tributary.assert_totals_agree", 0.75, "pass"),
    result("unit_test.tributary.fct_journeys.journeys_are_long", 0.1, "pass"),
    result("seed.tributary.click_ids", 0.2),
    result("operation.tributary.tributary-on-run-start-0", 0.3),
    result("model.tributary.late", 0.0, "skipped"),
]


def of_model(path: str, materialized: str = "table") -> dict[str, Any]:
    return {"original_file_path": path, "config": {"materialized": materialized}}


MANIFEST = {
    "nodes": {
        "model.tributary.fct_journeys": of_model("models/marts/attribution/fct_journeys.sql"),
        "model.tributary.markov": of_model("python_models/markov.py"),
        "model.tributary.stg_files__sessions": of_model("models/staging/files/x.sql", "view"),
        "test.tributary.not_null_fct_journeys_id.0123456789": {
            "attached_node": "model.tributary.fct_journeys"
        },
        "test.tributary.assert_totals_agree": {
            "depends_on": {"nodes": ["model.tributary.markov", "model.tributary.fct_journeys"]}
        },
    },
    "unit_tests": {"unit_test.tributary.fct_journeys.journeys_are_long": {}},
}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "run_results.json").write_text(json.dumps({"results": RESULTS}))
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    return tmp_path


def test_a_run_is_read_with_kind_layer_and_what_is_tested(target: Path) -> None:
    read = [
        (each.name, each.kind, each.layer, each.tested, each.materialized, each.seconds)
        for each in read_timings(target)
    ]

    assert read == [
        ("fct_journeys", "model", "marts/attribution", "", "table", 2.0),
        ("markov", "model", "python_models", "", "table", 3.0),
        ("stg_files__sessions", "model", "staging/files", "", "view", 0.25),
        ("not_null_fct_journeys_id", "test", "test", "fct_journeys", "", 0.5),
        ("assert_totals_agree", "test", "test", "", "", 0.75),
        ("journeys_are_long", "unit_test", "unit_test", "fct_journeys", "", 0.1),
        ("click_ids", "seed", "seed", "", "", 0.2),
        ("tributary-on-run-start-0", "operation", "operation", "", "", 0.3),
    ]


def test_nodes_begin_and_end_when_dbt_says(target: Path) -> None:
    first = read_timings(target)[0]

    assert first.begin == 1_704_067_210.5
    assert first.end == 1_704_067_212.5


def test_the_command_prints_layers_and_the_longest_nodes(target: Path) -> None:
    arguments = ["timings", "--target", str(target), "--top", "2"]

    shown = CliRunner().invoke(app, arguments)

    assert shown.exit_code == 0, shown.output
    assert "marts/attribution" in shown.stdout
    assert shown.stdout.index("markov ") < shown.stdout.index("fct_journeys ")
    assert "assert_totals_agree" not in shown.stdout
    assert "And 6 shorter ones, 2.1 s together" in shown.stderr


def test_the_command_prints_tests_alone(target: Path) -> None:
    shown = CliRunner().invoke(app, ["timings", "--target", str(target), "--tests"])

    assert "assert_totals_agree" in shown.stdout
    assert "journeys_are_long (fct_journeys)" in shown.stdout
    assert "markov" not in shown.stdout
    assert "python_models" not in shown.stdout


def test_without_a_run_the_command_says_what_to_do(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["timings", "--target", str(tmp_path)])

    assert shown.exit_code == 1
    assert "Make it with: dbt build" in " ".join(shown.stderr.split())


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"results": [{}]}'])
def test_what_is_no_run_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run_results.json").write_text(content)
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))

    with pytest.raises(NoRunError, match="Cannot read the run"):
        read_timings(tmp_path)

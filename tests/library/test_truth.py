import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress
from typer.testing import CliRunner

from tributary.benchmarks import truth, truth_page
from tributary.benchmarks.regimes import REGIMES
from tributary.benchmarks.truth import (
    UNIFORM_GUESS,
    Cell,
    Plan,
    Score,
    attribution_accuracy,
    expected_accuracy,
    plan,
    rank_correlation,
    run,
    score,
    summarise,
)
from tributary.benchmarks.warehouse import BenchmarkError
from tributary.cli import app

PROJECT = Path(__file__).parents[2]
CREDITS = st.lists(st.integers(0, 1_000), min_size=2, max_size=8)


def array(*values: float) -> truth.FloatArray:
    return np.array(values, dtype=float)


# Accuracy


@pytest.mark.parametrize(
    ("true", "credited", "accuracy"),
    [
        (array(1, 1), array(5, 5), 1.0),
        (array(1, 0), array(0, 1), 0.0),
        (array(3, 1), array(1, 1), 0.75),
        (array(60, 30, 10), array(30, 30, 40), 0.7),
        (array(-1, 1), array(0, 4), 1.0),
        (array(0, 0), array(1, 1), 0.0),
        (array(1, 1), array(0, 0), 0.0),
    ],
)
def test_accuracy_is_the_share_of_credit_in_its_place(
    true: truth.FloatArray, credited: truth.FloatArray, accuracy: float
) -> None:
    assert attribution_accuracy(true, credited) == pytest.approx(accuracy)


@given(CREDITS, st.data())
def test_accuracy_is_one_minus_total_variation(true: list[int], data: st.DataObject) -> None:
    same_length = st.lists(st.integers(0, 1_000), min_size=len(true), max_size=len(true))
    a, b = array(*true), array(*data.draw(same_length))
    if a.sum() and b.sum():
        distance = abs(a / a.sum() - b / b.sum()).sum() / 2
        assert attribution_accuracy(a, b) == pytest.approx(1 - distance)
        assert attribution_accuracy(a, b) == pytest.approx(attribution_accuracy(b, 7 * a))


@pytest.mark.parametrize(
    ("first", "second", "correlation"),
    [
        (array(1, 2, 3), array(10, 20, 90), 1.0),
        (array(1, 2, 3), array(3, 2, 1), -1.0),
        (array(1, 2, 3, 4), array(1, 2, 4, 3), 0.8),
        (array(1, 2, 2), array(1, 2, 3), 1.5 / 3**0.5),
        (array(1, 1), array(1, 2), 0.0),
        (array(5), array(5), 0.0),
        (array(), array(), 0.0),
    ],
)
def test_rank_correlation(
    first: truth.FloatArray, second: truth.FloatArray, correlation: float
) -> None:
    assert rank_correlation(first, second) == pytest.approx(correlation)


def test_a_sure_model_expects_perfection_and_an_unsure_one_less() -> None:
    credited = array(60, 40)

    assert expected_accuracy(credited, array(0, 0)) == 1
    assert expected_accuracy(credited, array(5, 5)) == pytest.approx(1 - 0.05 * (2 / np.pi) ** 0.5)
    assert expected_accuracy(credited, array(500, 500)) == 0
    assert expected_accuracy(array(0, 0), array(1, 1)) == 0


def test_expected_accuracy_is_the_mean_accuracy_under_independent_errors() -> None:
    rng = np.random.default_rng(3)
    shares, error = array(0.4, 0.3, 0.2, 0.1) * 1_000, array(20, 15, 10, 5)
    distances = [
        abs(rng.normal(shares, error) - shares).sum() / 2 / shares.sum() for _ in range(4_000)
    ]

    assert expected_accuracy(shares, error) == pytest.approx(1 - np.mean(distances), abs=0.001)


# Score


def true_row(channel: str, kind: str, conversions: float) -> truth.Row:
    return {
        "channel": channel,
        "kind": kind,
        "true_conversions": conversions,
        "true_share": conversions / 100,
    }


TRUTH = [
    true_row("Search", "channel", 30),
    true_row("Social", "channel", 10),
    true_row("Display", "channel", 0),
    true_row("Direct", "behaviour", 0),
    true_row("(baseline)", "baseline", 60),
]


def credit_row(model: str, channel: str, conversions: float, **more: Any) -> truth.Row:
    return {
        "attribution_model": model,
        "conversion_type": "purchase",
        "channel": channel,
        "conversions": conversions,
        **more,
    }


def scored(*credits: truth.Row, truths: list[truth.Row] = TRUTH) -> dict[str, Score]:
    return {each.model: each for each in score(Cell("clean", 1, truths, list(credits)))}


def test_a_model_is_scored_against_the_truth() -> None:
    scores = scored(
        credit_row("m", "Search", 20),
        credit_row("m", "Social", 20),
        credit_row("m", "Display", 10),
        credit_row("m", "Direct", 15),
        credit_row("m", "(unattributed)", 25),
        credit_row("m", "(baseline)", 10),
    )

    assert list(scores) == ["m", UNIFORM_GUESS]
    assert scores["m"].accuracy == pytest.approx(0.4 + 0.25)
    assert scores["m"].baseline_error == pytest.approx(0.5 - 0.6)
    assert scores["m"].idle_share == pytest.approx(0.2)
    assert scores["m"].rank_correlation == pytest.approx(1.5 / 3**0.5)
    assert (scores["m"].intervals, scores["m"].predicted_accuracy) == (0, None)
    assert scores[UNIFORM_GUESS].accuracy == pytest.approx(1 / 3 + 0.25)
    assert scores[UNIFORM_GUESS].idle_share == pytest.approx(1 / 3)


def test_intervals_are_counted_where_there_are_some() -> None:
    scores = scored(
        credit_row("m", "Search", 20, conversions_low=10.0, conversions_high=29.0, std_error=5.0),
        credit_row("m", "Social", 20, conversions_low=10.0, conversions_high=20.0, std_error=5.0),
        credit_row("m", "Display", 0, conversions_low=0.0, conversions_high=2.0, std_error=0.0),
        credit_row("m", "(baseline)", 60, conversions_low=50.0, conversions_high=70.0),
        credit_row("n", "Search", 20, conversions_low=None, conversions_high=None, std_error=None),
    )

    assert (scores["m"].intervals, scores["m"].covered) == (3, 2)
    assert scores["m"].predicted_accuracy == pytest.approx(1 - 0.125 * (2 / np.pi) ** 0.5)
    assert (scores["n"].intervals, scores["n"].predicted_accuracy) == (0, None)


def test_a_model_without_credit_is_wrong_and_not_an_error() -> None:
    scores = scored(credit_row("m", "Search", 0))

    assert scores["m"].accuracy == 0
    assert scores["m"].baseline_error is None
    assert scores["m"].idle_share is None


def test_only_the_simulated_conversion_type_counts() -> None:
    other = credit_row("m", "Search", 10) | {"conversion_type": "lead"}

    assert list(scored(other)) == [UNIFORM_GUESS]


def test_without_idle_channels_there_is_no_idle_share() -> None:
    busy = [row for row in TRUTH if row["channel"] != "Display"]

    assert scored(credit_row("m", "Search", 1), truths=busy)["m"].idle_share is None


@given(st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    rows = [
        credit_row(model, channel, number)
        for number, (model, channel) in enumerate(
            (model, channel)
            for model in ("a", "b")
            for channel in ("Search", "Social", "(baseline)")
        )
    ]

    assert scored(*(rows[place] for place in order)) == scored(*rows)


# Summary

SCORE = Score(
    "clean",
    1,
    "m",
    accuracy=0.8,
    rank_correlation=0.5,
    baseline_error=-0.2,
    idle_share=None,
    intervals=8,
    covered=8,
    predicted_accuracy=None,
)


def test_scores_are_averaged_over_seeds() -> None:
    (summary,) = summarise(
        [SCORE, replace(SCORE, seed=2, accuracy=0.9, baseline_error=-0.3, covered=6)]
    )

    assert (summary.regime, summary.model, summary.seeds) == ("clean", "m", 2)
    assert summary.accuracy == pytest.approx(0.85)
    assert summary.spread == pytest.approx(0.1 / 2**0.5)
    assert summary.rank_correlation == 0.5
    assert summary.baseline_error == pytest.approx(-0.25)
    assert (summary.coverage, summary.intervals) == (14 / 16, 16)
    assert (summary.idle_share, summary.predicted_accuracy) == (None, None)


def test_one_seed_has_no_spread_and_no_intervals_no_coverage() -> None:
    (summary,) = summarise([replace(SCORE, intervals=0, covered=0)])

    assert (summary.spread, summary.coverage) == (None, None)


def test_the_best_model_comes_first_in_each_regime() -> None:
    summaries = summarise(
        [
            replace(SCORE, regime="sparse", model="good", accuracy=0.9),
            replace(SCORE, regime="clean", model="bad", accuracy=0.1),
            replace(SCORE, regime="clean", model="good", accuracy=0.9),
        ]
    )

    assert [(each.regime, each.model) for each in summaries] == [
        ("clean", "good"),
        ("clean", "bad"),
        ("sparse", "good"),
    ]


# Plan


def test_seeds_are_numbers_and_ranges() -> None:
    assert plan("clean, funnel", "1-3, 7,2").seeds == (1, 2, 3, 7)
    assert plan("clean,funnel,clean", "1").regimes == ("clean", "funnel")


def test_a_small_plan_has_one_seed_and_few_people() -> None:
    small = plan(truth.ALL_REGIMES, "5-9", is_small=True)

    assert small == Plan(tuple(REGIMES), (5,), truth.SMALL_PEOPLE)
    assert small.market("clean").people == truth.SMALL_PEOPLE
    assert plan("clean", "1", 10, is_small=True).people == 10


@pytest.mark.parametrize(
    ("regimes", "seeds", "message"),
    [
        ("clean,cleen", "1", "There is no regime cleen. There are: clean, "),
        ("clean", "1-", "'1-' is neither a seed nor a range of seeds such as 1-3"),
        ("clean", "-1", "'-1' is neither"),
        ("clean", "3-1", "At least one regime and one seed"),
    ],
)
def test_a_plan_that_cannot_be_read_says_why(regimes: str, seeds: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(regimes, seeds)


def test_holdouts_test_every_channel_and_no_behaviour() -> None:
    tested = plan("clean", "1", with_holdouts=True).market("clean").tested

    assert len(tested) == 8
    assert "Direct" not in tested


def test_the_command_repeats_the_plan() -> None:
    typed = plan("clean,sparse", "1000-1001", 50_000, with_holdouts=True)

    assert typed.command(Path("docs/page.md")) == (
        "tributary benchmark truth --regimes clean,sparse --seeds 1000-1001 --people 50000"
        " --holdouts --output docs/page.md"
    )
    assert plan("clean", "7,1-3,9").seed_ranges == "7,1-3,9"
    assert plan(truth.ALL_REGIMES, "1").command(Path("p.md")) == (
        "tributary benchmark truth --seeds 1 --output p.md"
    )


def test_every_regime_has_eight_channels_one_of_them_idle() -> None:
    for name, regime in REGIMES.items():
        channels = [each for each in regime.market.channels if not each.is_behaviour]
        assert len(channels) == 8, name
        assert channels[-1].effect == 0, name
        assert channels[-1].moves == (0.0, 0.0), name


# Run


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []

    def run_cell(market: Any, seed: int, *_: object) -> dict[str, list[truth.Row]]:
        made.append((market.people, seed))
        return {"truth": TRUTH, "credits": [credit_row("m", "Search", seed)]}

    monkeypatch.setattr(truth, "_run_cell", run_cell)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    (folder / "models" / "one.sql").write_text("select 1")
    return folder


def test_an_interrupted_run_resumes(
    calls: list[tuple[int, int]], project: Path, tmp_path: Path
) -> None:
    cells = run(Plan(("clean",), (1, 2, 3), 10), project, tmp_path / "work")
    first = next(cells)
    next(cells)
    again = list(run(Plan(("clean",), (1, 2, 3), 10), project, tmp_path / "work"))

    assert calls == [(10, 1), (10, 2), (10, 3)]
    assert again[0] == first
    assert [each.credits[0]["conversions"] for each in again] == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda project: (project / "models" / "one.sql").write_text("select 2"),
        lambda project: (project / "models" / "two.sql").write_text("select 1"),
    ],
)
def test_changed_models_are_run_again(
    calls: list[tuple[int, int]], project: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    list(run(Plan(("clean",), (1,), 10), project, tmp_path / "work"))
    change(project)
    list(run(Plan(("clean",), (1,), 10), project, tmp_path / "work"))

    assert len(calls) == 2


def test_another_market_is_another_run(
    calls: list[tuple[int, int]], project: Path, tmp_path: Path
) -> None:
    for people in (10, 20):
        list(run(Plan(("clean",), (1,), people), project, tmp_path / "work"))

    assert calls == [(10, 1), (20, 1)]


def test_without_a_project_the_benchmark_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="There is no dbt project in"):
        next(run(Plan(("clean",), (1,)), tmp_path, tmp_path / "work"))


# Page

SUMMARIES = summarise(
    [
        replace(SCORE, regime=regime, seed=seed, model=model, accuracy=accuracy + seed / 100)
        for regime in ("clean", "sparse")
        for seed in (1, 2)
        for model, accuracy in (("good", 0.9), ("poor", 0.5), (UNIFORM_GUESS, 0.7))
    ]
)
PLAN = Plan(("clean", "sparse"), (1, 2))


def written(chosen: Plan = PLAN) -> str:
    return truth_page.page(
        chosen, SUMMARIES, day=date(2024, 5, 6), command="the command", picture="truth.png"
    )


def test_the_page_says_when_and_how_it_was_made() -> None:
    page = written()

    assert "Run on 2024-05-06 with seeds 1-2 (" in page
    assert "```\nthe command\n```" in page
    assert "![Accuracy of every model in every regime](truth.png)" in page
    assert "| good | 0.915 ± 0.007 | 0.915 ± 0.007 | 0.915 |" in page
    assert "### Clean" in page
    assert "### Funnel" not in page


def test_the_page_tells_development_from_results() -> None:
    assert "**development seeds**" in written()
    assert "**development seeds**" not in written(replace(PLAN, seeds=(1000, 1001)))


def test_findings_name_the_best_and_count_who_is_below_the_guess() -> None:
    findings = truth_page.findings(SUMMARIES)

    assert findings[0] == (
        "**Clean**: the best model is `good` with 0.915; a uniform guess has 0.715. "
        "Models worse than the guess: 1 of 2."
    )
    assert findings[-1] == (
        "**Baseline**: in some regime more than a tenth of all conversions, which would have "
        "happened anyway, is given to channels by all 2 models."
    )


def test_the_accuracy_table_has_the_best_model_on_top() -> None:
    table = truth_page.accuracy_table(SUMMARIES)

    assert table[0] == ["model", "clean", "sparse", "mean"]
    assert [row[0] for row in table[1:]] == ["good", UNIFORM_GUESS, "poor"]


def test_the_spread_of_one_seed_is_a_dash() -> None:
    alone = summarise([SCORE])

    assert truth_page.accuracy_table(alone)[1] == ["m", "0.800 ± -", "0.800"]
    assert truth_page.detail_table(alone, "clean")[1][:3] == ["m", "0.800", "-"]


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_picture_is_a_picture(seeds: int) -> None:
    summaries = summarise(
        [
            replace(SCORE, seed=seed, model=model, accuracy=accuracy + seed / 100)
            for seed in range(seeds)
            for model, accuracy in (("good", 0.9), (UNIFORM_GUESS, 0.7))
        ]
    )
    assert truth_page.picture(summaries).startswith(b"\x89PNG")


# The command


def test_the_command_builds_the_warehouse_and_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    steps: list[str] = []
    monkeypatch.setattr(Progress, "update", lambda *_, description: steps.append(description))
    page = tmp_path / "page.md"
    work = tmp_path / "work"
    arguments = ["benchmark", "truth", "--regimes", "clean", "--seeds", "4", "--people", "400"]
    result = CliRunner().invoke(app, [*arguments, "--work", str(work), "--output", str(page)])

    assert result.exit_code == 0, result.output
    assert steps == [f"clean, seed 4: {step}" for step in ("simulating", "building the warehouse")]
    assert "linear" in result.output
    assert "linear" in page.read_text()
    assert page.with_suffix(".png").is_file()
    (kept,) = work.iterdir()
    cell = Cell("clean", 4, **json.loads(kept.read_text()))
    conversions = sum(row["true_conversions"] for row in cell.truth)
    models = {row["attribution_model"] for row in cell.credits}
    assert models == {each.model for each in score(cell)} - {UNIFORM_GUESS}
    for model in models:
        assert sum(
            row["conversions"] for row in cell.credits if row["attribution_model"] == model
        ) == pytest.approx(conversions)


def test_the_command_says_what_is_wrong() -> None:
    result = CliRunner().invoke(app, ["benchmark", "truth", "--regimes", "cleen"])

    assert result.exit_code == 1
    assert "There is no regime cleen" in result.output

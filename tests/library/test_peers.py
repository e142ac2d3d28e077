from dataclasses import replace
from datetime import date
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from tributary.benchmarks import peers
from tributary.benchmarks.peer_candidates import (
    CANDIDATES,
    PATHS,
    SEPARATOR,
    TOUCHES,
    Candidate,
    measure,
)
from tributary.benchmarks.peers import (
    NOT_INSTALLED,
    Measurement,
    Scenario,
    exact_markov,
    exact_shapley,
    page,
    picture,
    random_journeys,
    run,
    write_input,
)
from tributary.cli import app
from tributary.markov import channel_shares, count_transitions, removal_effects
from tributary.shapley import shapley_values

OURS = [candidate for candidate in CANDIDATES if candidate.module == "tributary"]
SMALL = Scenario(channels=12, journeys=500)


def paths_of(journeys: peers.Journeys) -> list[list[str]]:
    return [
        [journeys.channels[touch] for touch in journeys.touches[begin:end]]
        for begin, end in pairwise(journeys.begin)
    ]


def test_the_same_seed_gives_the_same_journeys() -> None:
    one, again, other = (random_journeys(SMALL, seed) for seed in (1, 1, 2))

    assert one.touches.tolist() == again.touches.tolist()
    assert one.converted.tolist() == again.converted.tolist()
    assert one.touches.tolist() != other.touches.tolist()
    assert len(one.converted) == SMALL.journeys
    assert 0 < one.converted.sum() < SMALL.journeys


def test_exact_markov_is_the_library_s() -> None:
    journeys = random_journeys(SMALL, 1)
    effects = removal_effects(
        count_transitions(
            paths_of(journeys),
            journeys.converted.astype(float).tolist(),
            (~journeys.converted).astype(float).tolist(),
            [0.0] * SMALL.journeys,
        )
    )

    expected = channel_shares(effects.conversion) * journeys.converted.sum()
    assert dict(zip(journeys.channels, exact_markov(journeys), strict=True)) == pytest.approx(
        dict(zip(effects.channels, expected, strict=True)), rel=0, abs=1e-9
    )


@pytest.mark.parametrize("channels", [6, 12])
def test_exact_shapley_is_the_closed_form(channels: int) -> None:
    journeys = random_journeys(Scenario(channels, 300), 1)
    paths = [
        path
        for path, converted in zip(paths_of(journeys), journeys.converted, strict=True)
        if converted
    ]

    exact = dict(zip(journeys.channels, exact_shapley(journeys), strict=True))

    assert exact == pytest.approx(
        dict.fromkeys(journeys.channels, 0.0) | shapley_values(paths, [1.0] * len(paths)),
        rel=0,
        abs=1e-9,
    )


def test_touches_and_paths_are_the_same_journeys(tmp_path: Path) -> None:
    journeys = random_journeys(SMALL, 1)

    write_input(journeys, tmp_path)

    expected: dict[str, list[int]] = {}
    for path, converted in zip(paths_of(journeys), journeys.converted, strict=True):
        counts = expected.setdefault(SEPARATOR.join(path), [0, 0])
        counts[0 if converted else 1] += 1
    paths = pyarrow.parquet.read_table(tmp_path / PATHS).to_pylist()
    assert {row["path"]: [row["conversions"], row["nulls"]] for row in paths} == expected
    touches = pyarrow.parquet.read_table(tmp_path / TOUCHES).to_pylist()
    assert [row["channel"] for row in touches] == list(chain(*paths_of(journeys)))
    assert {row["touch_number"] for row in touches if row["journey"] == 0} == set(
        range(1, int(journeys.begin[1]) + 1)
    )


@pytest.mark.parametrize("candidate", OURS, ids=lambda candidate: candidate.model)
def test_our_answers_equal_the_definition(candidate: Candidate, tmp_path: Path) -> None:
    journeys = random_journeys(SMALL, 2)
    write_input(journeys, tmp_path)

    measured = measure(candidate, tmp_path)

    exact = peers.EXACT[candidate.model](journeys)
    expected = {
        channel: credit
        for channel, credit in zip(journeys.channels, exact, strict=True)
        if channel in measured["credits"] or credit
    }
    assert measured["credits"] == pytest.approx(expected, rel=0, abs=1e-9)
    assert measured["peak_megabytes"] > 20
    assert measured["cpu_seconds"] >= 0


def test_a_peer_that_is_not_there_is_said_so_and_the_rest_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = replace(OURS[1], package="peer", module="no_such_module")
    for names in ("CANDIDATES", "ALL_CANDIDATES"):
        monkeypatch.setattr(peers, names, [OURS[0], absent])
    told: list[str] = []

    measurements = list(run([SMALL], 1, 60, told.append))

    assert [each.failure for each in measurements] == ["", NOT_INSTALLED]
    assert measurements[0].total_difference < 1e-9
    assert measurements[0].conversions > 0
    assert told[-1] == "12 channels, 500 journeys: peer, shapley"


def test_a_candidate_that_takes_too_long_is_ended() -> None:
    assert next(run([SMALL], 1, 0)).failure == "over 0 s"


def test_a_candidate_that_fails_says_why(tmp_path: Path) -> None:
    answer = peers.answer_of(0, tmp_path, 60)

    assert isinstance(answer, str)
    assert answer.startswith("failed: ")
    assert "touches.parquet" in answer


def test_page_and_picture_show_what_was_measured() -> None:
    ours = Measurement(SMALL, CANDIDATES[0], "", "1.2", 0.5, 0.6, 123.4, 1e-13, 2e-13, 100)
    peer = Measurement(SMALL, CANDIDATES[1], "", "3.4", 1.5, 1.6, 200.0, 3.0, 5.0, 100)
    late = Measurement(SMALL, CANDIDATES[2], "over 60 s")

    text = page([ours, peer, late], "the command", "drawn.png", date(2024, 5, 6))
    drawn = picture([ours, peer, late])

    assert "| 12 | 500 | markov | tributary | 0.50 | 123 | 1e-13 | 2e-15 |" in text
    assert "| 12 | 500 | markov | ChannelAttribution | 1.50 | 200 | 3.0 | 5.00% |" in text
    assert "| 12 | 500 | markov | marketing-attribution-models | over 60 s |" in text
    assert "Measured on 2024-05-06" in text
    assert "the command" in text
    assert "](drawn.png)" in text
    lines = [line for panel in drawn.axes for line in panel.get_lines()]
    drawn_seconds = [float(np.asarray(line.get_ydata())[0]) for line in lines]
    assert drawn_seconds == pytest.approx([0.5, 1.5, np.nan], nan_ok=True)


def test_the_command_measures_prints_and_writes(tmp_path: Path) -> None:
    output = tmp_path / "peers.md"

    result = CliRunner().invoke(app, ["benchmark", "peers", "--small", "--output", str(output)])

    assert result.exit_code == 0, result.output
    assert "tributary" in result.stdout
    for candidate in CANDIDATES:
        missing = find_spec(candidate.module) is None
        assert (f"{candidate.package} is not installed" in result.stderr) == missing
    assert "| 10 | 1,000 | shapley | tributary |" in output.read_text()
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


def test_a_place_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "run", lambda *arguments: iter(()))

    result = CliRunner().invoke(
        app, ["benchmark", "peers", "--small", "--output", str(tmp_path / "none" / "peers.md")]
    )

    assert result.exit_code == 1
    assert "Cannot write" in result.stderr

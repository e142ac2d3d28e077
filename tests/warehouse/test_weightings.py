"""A weighting of one's own is a row of a seed: the project is copied and rows are added."""

import shutil
from pathlib import Path

import pytest

from .conftest import PROJECT, Build, run_dbt, write_csv

DECAY = "attribution_models.csv", "my_decay,decay,true,{},,Mine"
SHAPE = "attribution_models.csv", "my_shape,position,true,,,Mine"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project, and give it one conversion with three touches."""
    folder = tmp_path_factory.mktemp("weightings")
    shutil.copytree(
        PROJECT,
        folder / "project",
        ignore=shutil.ignore_patterns(".*", "target", "logs", "data", "warehouse", "library"),
    )
    write_csv(
        folder / "input" / "sessions.csv",
        "session_id,user_id,started_at,channel",
        [
            ("s1", "u", "2024-01-01", "a"),
            ("s2", "u", "2024-01-03", "b"),
            ("s3", "u", "2024-01-04", "c"),
        ],
    )
    write_csv(
        folder / "input" / "conversions.csv",
        "conversion_id,user_id,converted_at,revenue",
        [("c", "u", "2024-01-05", 80)],
    )
    return folder


def _build(folder: Path, *rows: tuple[str, str], select: str = "*") -> Build:
    """Build from the copy of the project with more seed rows than the project's own."""
    seeds = folder / "project" / "seeds"
    for seed in ("attribution_models.csv", "position_shares.csv"):
        shutil.copy(PROJECT / "seeds" / seed, seeds / seed)
    for seed, row in rows:
        with (seeds / seed).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
    return run_dbt(
        folder,
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--indirect-selection",
        "cautious",
        "--select",
        *select.split(),
        variables=f"{{sources: [files], files_path: {folder / 'input'}}}",
        project=folder / "project",
    )


def test_a_decay_and_a_shape_of_ones_own_are_in_the_marts(folder: Path) -> None:
    built = _build(
        folder,
        (DECAY[0], DECAY[1].format("days_before_conversion")),
        # The last touch has no logarithm, the first a negative weight.
        (DECAY[0], "my_log,decay,true,1 - ln(days_before_last_touch),,Mine"),
        SHAPE,
        ("position_shares.csv", "my_shape,1,0.75\nmy_shape,,0.25"),
    )
    assert built.status == 0, built.output
    assert built.rows(
        "select attribution_model, channel, conversions, revenue "
        "from marts.rpt_channel_attribution "
        "where attribution_model like 'my%' and channel not like '(%' order by 1, 2"
    ) == [
        ("my_decay", "a", pytest.approx(4 / 7), pytest.approx(320 / 7)),
        ("my_decay", "b", pytest.approx(2 / 7), pytest.approx(160 / 7)),
        ("my_decay", "c", pytest.approx(1 / 7), pytest.approx(80 / 7)),
        ("my_log", "a", 0, 0),
        ("my_log", "b", 1, 80),
        ("my_log", "c", 0, 0),
        ("my_shape", "a", 0.125, 10),
        ("my_shape", "b", 0.125, 10),
        ("my_shape", "c", 0.75, 60),
    ]
    assert (
        built.value(
            "select highest_share_model from marts.rpt_model_comparison where channel = 'b'"
        )
        != "my_shape"
    )


WRONG_WEIGHTING = {
    "done": "a weighting that is no formula, SQL that does harm, or shares that do not add up",
    "expected": "the build stops and names the row of the seed",
}
# A build each: one is enough every time.
LEFT_TO_THE_BATTERY = pytest.mark.fault(**WRONG_WEIGHTING, long=True)


@pytest.mark.fault(**WRONG_WEIGHTING)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(
            [(DECAY[0], DECAY[1].format("1 / days"))],
            "The model my_decay of the seed attribution_models has the decay_weight '1 / days'. "
            "Allowed: a SQL expression of numbers",
            marks=LEFT_TO_THE_BATTERY,
        ),
        (
            [(DECAY[0], DECAY[1].format("1; drop table x"))],
            "my_decay of the seed attribution_models has the decay_weight '1; drop table x'",
        ),
        pytest.param(
            [(DECAY[0], DECAY[1].format("1 / (1 + days_before_conversion"))],
            "my_decay of the seed attribution_models has the decay_weight",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [(DECAY[0], DECAY[1].format("1").replace("my_decay", "end"))],
            "names a model 'end'. Allowed: small letters, digits and underscores, a letter first; "
            "no word of SQL",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [(DECAY[0], DECAY[1].format("1").replace("my_decay", "touch_date"))],
            "names a model 'touch_date'",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [("position_shares.csv", "linear,0,1")],
            "The model linear has a row of the seed position_shares as one of the family position, "
            "but is of the family rule_based",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [SHAPE, ("position_shares.csv", "my_shape,0,0.4\nmy_shape,2,0.6")],
            "The model my_shape of the seed position_shares has the places [0.0, 2.0]",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [SHAPE, ("position_shares.csv", "my_shape,0,0.4\nmy_shape,1,0.4")],
            "and shares of at least 0 that add up to 1",
            marks=LEFT_TO_THE_BATTERY,
        ),
        pytest.param(
            [("attribution_models.csv", "My-Own,decay,true,1,,Mine")],
            "The seed attribution_models names a model 'My-Own'. Allowed: small letters",
            marks=LEFT_TO_THE_BATTERY,
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    folder: Path, rows: list[tuple[str, str]], expected: str
) -> None:
    built = _build(
        folder, *rows, select="attribution_models position_shares int_rule_based_credits"
    )
    assert built.status != 0
    assert "Traceback" not in built.output
    assert expected in " ".join(built.output.split())


@pytest.mark.fault(
    done="a model listed in a seed that nobody computes",
    expected="a data test fails",
)
def test_a_listed_model_that_nobody_computes_fails(folder: Path) -> None:
    built = _build(
        folder,
        ("attribution_models.csv", "first_tuoch,rule_based,true,,,Misspelt"),
        select="attribution_models position_shares",
    )
    assert built.status != 0
    assert "assert_listed_models_are_computed" in built.output

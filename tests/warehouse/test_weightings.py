"""A weighting of one's own is a row of a seed: the project is copied and rows are added."""

import shutil
from pathlib import Path

import pytest

from .conftest import PROJECT, Build, build, write_csv

DECAY = "attribution_models.csv", "my_decay,decay,true,{},,Mine"
SHAPE = "attribution_models.csv", "my_shape,position,true,,,Mine"


def _build(folder: Path, *rows: tuple[str, str]) -> Build:
    """Build one conversion with three touches from a copy of the project with more seed rows."""
    project = folder / "project"
    shutil.copytree(
        PROJECT,
        project,
        ignore=shutil.ignore_patterns(".*", "target", "logs", "data", "warehouse", "library"),
    )
    for seed, row in rows:
        with (project / "seeds" / seed).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
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
    return build(
        folder,
        f"{{sources: [files], files_path: {folder / 'input'}}}",
        project=project,
    )


def test_a_decay_and_a_shape_of_ones_own_are_in_the_marts(tmp_path: Path) -> None:
    built = _build(
        tmp_path,
        (DECAY[0], DECAY[1].format("days_before_conversion")),
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


@pytest.mark.fault(
    done="a weighting that is no formula, SQL that does harm, or shares that do not add up",
    expected="the build stops and names the row of the seed",
)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [(DECAY[0], DECAY[1].format("1 / days"))],
            "The model my_decay of the seed attribution_models has the decay_weight '1 / days'. "
            "Allowed: a SQL expression of numbers",
        ),
        (
            [(DECAY[0], DECAY[1].format("1; drop table x"))],
            "my_decay of the seed attribution_models has the decay_weight '1; drop table x'",
        ),
        (
            [SHAPE, ("position_shares.csv", "my_shape,0,0.4\nmy_shape,2,0.6")],
            "The model my_shape of the seed position_shares has the places [0.0, 2.0]",
        ),
        (
            [SHAPE, ("position_shares.csv", "my_shape,0,0.4\nmy_shape,1,0.4")],
            "and shares of at least 0 that add up to 1",
        ),
        (
            [("attribution_models.csv", "My-Own,decay,true,1,,Mine")],
            "The seed attribution_models names a model 'My-Own'. Allowed: small letters",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, rows: list[tuple[str, str]], expected: str
) -> None:
    built = _build(tmp_path, *rows)
    assert built.status != 0
    assert "Traceback" not in built.output
    assert expected in " ".join(built.output.split())


@pytest.mark.fault(
    done="a model listed in a seed that nobody computes",
    expected="a data test fails",
)
def test_a_listed_model_that_nobody_computes_fails(tmp_path: Path) -> None:
    built = _build(tmp_path, ("attribution_models.csv", "first_tuoch,rule_based,true,,,Misspelt"))
    assert built.status != 0
    assert "assert_listed_models_are_computed" in built.output

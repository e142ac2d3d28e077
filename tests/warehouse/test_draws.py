"""Draws by hash are as good as drawn at random: the macro's SQL, asked in plain DuckDB."""

import re

import duckdb
import jinja2
import numpy as np
import pytest

from .conftest import PROJECT

KEYS = 500_000
GROUPS = 20
LARGEST_CHI_SQUARE = 60.0
"""Of 19 degrees of freedom: chance exceeds it once in 250,000 times."""


def uniform_hash(purpose: str, *columns: str) -> str:
    """Render the SQL of the macro for DuckDB."""
    source = (PROJECT / "macros/dialect/uniform_hash.sql").read_text(encoding="utf-8")
    macros = jinja2.Environment(autoescape=False).from_string(source).module  # noqa: S701 - SQL
    return re.sub(r"\s+", " ", macros.default__uniform_hash(purpose, columns))  # type: ignore[attr-defined]


def chi_square(draws: np.ndarray) -> float:
    """How far the draws are from as many in each of equal groups."""
    counts = np.histogram(draws, GROUPS, (0, 1))[0]
    expected = len(draws) / GROUPS
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("key", ["i", "hash('files', concat('id ', i)) >> 1"])
def test_draws_are_uniform_and_know_nothing_of_each_other(key: str) -> None:
    expressions = [
        uniform_hash("draw", "key"),
        uniform_hash("time", "key"),
        uniform_hash("time", "key", "1"),
        uniform_hash("time", "key", "2"),
    ]
    with duckdb.connect() as connection:
        first, *others = (
            connection.execute(
                f"select {', '.join(f'{sql} as d{n}' for n, sql in enumerate(expressions))} "
                f"from (select cast({key} as bigint) as key from range({KEYS}) as numbers (i))"
            )
            .fetchnumpy()
            .values()
        )

    # Who is drawn is told by one draw, when by another: it must not show which are the small ones.
    for draws in (first, *others, *(other[first < 0.02] for other in others)):
        assert chi_square(draws) < LARGEST_CHI_SQUARE
    assert np.abs(np.corrcoef([first, *others]) - np.eye(4)).max() < 5 / np.sqrt(KEYS)

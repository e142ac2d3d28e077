"""The time in which people could convert: as added up in SQL, and touch by touch."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil, exp
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls

from person_time import EFFECT_DECAY_DAYS, INTEREST_DECAY_DAYS

from .conftest import run_dbt, write_csv

FIRST_DAY = datetime(2024, 1, 1)
DAYS = 40.0
DECAYS = (*EFFECT_DECAY_DAYS, INTEREST_DECAY_DAYS)
PEOPLE = 60
Days = dict[int, list[float]]
"""Of each person, when something happened: days since the first."""


def written(days: float) -> str:
    """Write the time so many days after the first."""
    return str(FIRST_DAY + timedelta(days=days))


@pytest.fixture(scope="module")
def market() -> tuple[list[tuple[int, str, float]], dict[str, Days]]:
    """Touches; purchases, of which people have several; sign-ups, of which nobody has two."""
    rng = np.random.default_rng(1)

    def instants(mean: float, most: int = 99) -> list[float]:
        # Whole seconds, as files have them.
        days = rng.random(min(rng.poisson(mean), most)) * DAYS
        return sorted(float(round(day * 86_400) / 86_400) for day in days)

    touches = [
        (person, channel, day)
        for person in range(PEOPLE)
        for channel, mean in (("a", 2.0), ("b", 1.0))
        for day in instants(mean)
    ]
    return touches, {
        "purchase": {person: instants(1.0) for person in range(PEOPLE)},
        "signup": {person: instants(1.0, most=1) for person in range(PEOPLE)},
    }


@pytest.mark.parametrize(
    ("settings", "lookback"),
    [
        ("journey_scope: every_prior, lookback_days: 30", 30.0),
        ("journey_scope: since_last_conversion, lookback_days: none", np.inf),
    ],
)
def test_exposure_is_that_of_each_touch_and_person(
    tmp_path: Path,
    market: tuple[list[tuple[int, str, float]], dict[str, Days]],
    settings: str,
    lookback: float,
) -> None:
    touches, conversions = market
    write_csv(
        tmp_path / "input/sessions.csv",
        "session_id,user_id,started_at,channel",
        [(n, person, written(day), name) for n, (person, name, day) in enumerate(touches)],
    )
    write_csv(
        tmp_path / "input/conversions.csv",
        "conversion_id,user_id,converted_at,revenue,conversion_type",
        [
            (f"{kind}-{person}-{day}", person, written(day), 1, kind)
            for kind, of_people in conversions.items()
            for person, days in of_people.items()
            for day in days
        ],
    )
    built = run_dbt(
        tmp_path,
        *("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
        *("--select", "+int_hazard_exposure"),
        variables=f"{{sources: [files], files_path: '{tmp_path / 'input'}', {settings}}}",
    )
    assert built.status == 0, built.output

    last = max(
        [day for *_, day in touches]
        + [day for days in conversions.values() for of_person in days.values() for day in of_person]
    )
    expected: defaultdict[tuple[str, str, int, float], float] = defaultdict(float)
    expected_after_first: defaultdict[tuple[str, str, int, float], float] = defaultdict(float)
    for kind, of_kind in conversions.items():
        uses_up = "since_last" in settings or kind == "signup"
        for cell, exposure, after_first in exposures(
            touches, of_kind, float(ceil(last)), lookback, uses_up, kind == "purchase"
        ):
            expected[(kind, *cell)] += exposure
            expected_after_first[(kind, *cell)] += after_first
    rows = built.rows(
        "select conversion_type, channel, ordinal, decay_days, exposure, repeat_exposure "
        "from intermediate.int_hazard_exposure where exposure > 0"
    )
    found = {tuple(cell): exposure for *cell, exposure, _ in rows}
    found_after_first = {tuple(cell): after_first for *cell, _, after_first in rows}
    assert found == pytest.approx({cell: days for cell, days in expected.items() if days > 0})
    assert found_after_first == pytest.approx(
        {cell: expected_after_first[cell] for cell in found}, abs=1e-9
    )
    assert all(
        (days > 0) == (kind == "purchase" and ordinal > 0)
        for (kind, _, ordinal, _), days in found_after_first.items()
    )
    assert {
        ordinal for kind, name, ordinal, _ in found if (kind, name) == ("signup", "(baseline)")
    } == {0}


def exposures(
    touches: list[tuple[int, str, float]],
    conversions: Days,
    end: float,
    lookback: float,
    uses_up: bool,
    is_repeated: bool,
) -> Iterator[tuple[tuple[str, int, float], float, float]]:
    """Give what each touch and each person adds to which feature, in person-days.

    All of it first, then the part after the person's first conversion.
    """
    so_far: Counter[tuple[int, str]] = Counter()
    entered: dict[int, float] = {}
    for person, channel, day in sorted(touches, key=lambda touch: touch[2]):
        so_far[person, channel] += 1
        entered.setdefault(person, day)
        next_conversion = min((at for at in conversions[person] if at > day), default=end)
        stop = min(end, day + lookback, next_conversion if uses_up else end)
        if not is_repeated and any(at <= day for at in conversions[person]):
            continue
        first = min(conversions[person], default=end)
        since = min(max(first, day), stop) if is_repeated else stop
        for decay in DECAYS:
            yield (
                (channel, min(so_far[person, channel], 3), float(decay)),
                decay * (1 - exp(-(stop - day) / decay)),
                decay * (exp(-(since - day) / decay) - exp(-(stop - day) / decay)),
            )
    for person, begins in entered.items():
        first = max(min(conversions[person], default=end), begins)
        yield ("(baseline)", 0, 0.0), first - begins, 0.0
        if is_repeated:
            yield ("(baseline)", 1, 0.0), end - first, end - first


def test_sums_of_the_decays_make_every_shape_between_them() -> None:
    """Of an effect whose mean life lies between two of them, a twentieth goes astray."""
    days = np.linspace(0, 60, 6_001)
    decays = np.exp(-days[:, None] / np.array(EFFECT_DECAY_DAYS))
    for mean_life in np.linspace(min(EFFECT_DECAY_DAYS), max(EFFECT_DECAY_DAYS), 25):
        effect = np.exp(-days / mean_life)
        amounts, _ = nnls(decays, effect)
        assert np.abs(decays @ amounts - effect).sum() < 0.055 * effect.sum()

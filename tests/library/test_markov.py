import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby, pairwise
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reference import reference_data
from tributary.markov import (
    CHANNEL_TOTALS,
    CONVERSION,
    NULL,
    START,
    RemovalEffects,
    attribute_transitions,
    channel_shares,
    count_transitions,
    removal_effects,
    transition_counts,
)

CHANNELS = "abcdef"


class Path(NamedTuple):
    channels: Sequence[str]
    conversions: int
    nulls: int
    revenue: float = 0.0


def effects_of(paths: Sequence[Path]) -> RemovalEffects:
    return removal_effects(
        count_transitions(
            [path.channels for path in paths],
            [path.conversions for path in paths],
            [path.nulls for path in paths],
            [path.revenue for path in paths],
        )
    )


def by_channel(effects: RemovalEffects) -> dict[str, float]:
    return dict(zip(effects.channels, effects.conversion.tolist(), strict=True))


def revenue_by_channel(effects: RemovalEffects) -> dict[str, float]:
    return dict(zip(effects.channels, effects.revenue.tolist(), strict=True))


def assert_same(actual: RemovalEffects, expected: RemovalEffects) -> None:
    assert actual.conversion_probability == pytest.approx(expected.conversion_probability, abs=1e-9)
    assert actual.revenue_per_path == pytest.approx(expected.revenue_per_path, abs=1e-9)
    assert by_channel(actual) == pytest.approx(by_channel(expected), abs=1e-9)
    assert revenue_by_channel(actual) == pytest.approx(revenue_by_channel(expected), abs=1e-9)


def path_tables(min_revenue: int = 0) -> st.SearchStrategy[list[Path]]:
    def path(channels: str, conversions: int, nulls: int, revenue: int) -> Path:
        return Path(tuple(channels), conversions, nulls, revenue if conversions else 0)

    paths = st.builds(
        path,
        channels=st.text(CHANNELS, min_size=1, max_size=6),
        conversions=st.integers(0, 5),
        nulls=st.integers(0, 5),
        revenue=st.integers(min_revenue, 100),
    )
    happened = paths.filter(lambda path: path.conversions + path.nulls > 0)
    return st.lists(happened, min_size=1, max_size=12)


def gain_by_solving(
    paths: Sequence[Path], gain: Callable[[Path], float], without: str | None = None
) -> float:
    """Expected gain of a path, by the definition: steps into a removed channel lead to null."""
    place = {state: index for index, state in enumerate([START, *CHANNELS])}
    steps = np.zeros((len(place), len(place)))
    gained = np.zeros(len(place))
    leaving = np.zeros(len(place))
    for path in paths:
        walk = [place[state] for state in (START, *path.channels)]
        for state in walk:
            leaving[state] += path.conversions + path.nulls
        for from_state, to_state in pairwise(walk):
            steps[from_state, to_state] += path.conversions + path.nulls
        gained[walk[-1]] += gain(path)
    leaving[leaving == 0] = 1
    if without is not None:
        steps[:, place[without]] = 0
    chain = np.eye(len(place)) - steps / leaving[:, None]
    return float(np.linalg.solve(chain, gained / leaving)[place[START]])


# Reference results


def collapsed(channels: Sequence[str]) -> list[str]:
    return [channel for channel, _ in groupby(channels)]


@pytest.mark.parametrize(
    ("reference", "as_read"),
    [
        ("exact_order1_closed_form_loops.csv", list),
        ("exact_order1_closed_form_noloops.csv", collapsed),
    ],
)
def test_equals_reference_results(
    reference: str, as_read: Callable[[Sequence[str]], Sequence[str]]
) -> None:
    data = pa.csv.read_csv(
        reference_data("channelattribution", "Data.csv"),
        parse_options=pa.csv.ParseOptions(delimiter=";"),
    )
    expected = pa.csv.read_csv(reference_data("channelattribution", reference)).to_pylist()
    counts = count_transitions(
        [as_read(path.split(" > ")) for path in data["path"].to_pylist()],
        data["total_conversions"].to_pylist(),
        data["total_null"].to_pylist(),
        data["total_conversion_value"].to_pylist(),
    )

    effects = removal_effects(counts)
    conversions = dict(
        zip(effects.channels, channel_shares(effects.conversion) * 19_785, strict=True)
    )

    assert effects.conversion_probability == pytest.approx(19_785 / 88_387, rel=0, abs=1e-12)
    assert effects.revenue_per_path == pytest.approx(74_802.971587 / 88_387, rel=1e-9)
    assert by_channel(effects) == pytest.approx(
        {row["channel"]: row["removal_effect"] for row in expected}, rel=0, abs=1e-9
    )
    assert conversions == pytest.approx(
        {row["channel"]: row["conv"] for row in expected}, rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize(
    ("paths", "probability", "expected_effects", "expected_credit"),
    [
        (
            [Path(["C1", "C2", "C3"], 1, 0), Path(["C1"], 0, 1), Path(["C2", "C3"], 0, 1)],
            1 / 3,
            {"C1": 0.5, "C2": 1, "C3": 1},
            {"C1": 0.2, "C2": 0.4, "C3": 0.4},
        ),
        (
            [Path(["GA"], 2, 1), Path(["M"], 1, 0), Path(["GA", "M"], 1, 0)],
            0.8,
            {"GA": 0.75, "M": 0.5},
            {"GA": 2.4, "M": 1.6},
        ),
    ],
)
def test_worked_example(
    paths: list[Path],
    probability: float,
    expected_effects: dict[str, float],
    expected_credit: dict[str, float],
) -> None:
    effects = effects_of(paths)
    credit = channel_shares(effects.conversion) * sum(path.conversions for path in paths)

    assert effects.conversion_probability == pytest.approx(probability)
    assert by_channel(effects) == pytest.approx(expected_effects)
    assert dict(zip(effects.channels, credit, strict=True)) == pytest.approx(expected_credit)


# Properties


@given(path_tables())
def test_removal_effects_of_conversions_follow_the_definition(paths: list[Path]) -> None:
    def conversions(path: Path) -> float:
        return path.conversions

    effects = effects_of(paths)
    total = gain_by_solving(paths, conversions)

    assert effects.conversion_probability == pytest.approx(total, abs=1e-9)
    for channel, effect in by_channel(effects).items():
        rest = gain_by_solving(paths, conversions, without=channel)
        assert effect == pytest.approx(1 - rest / total if total else 0, abs=1e-9)


@given(path_tables(min_revenue=-100))
def test_removal_effects_of_revenue_follow_the_definition(paths: list[Path]) -> None:
    def revenue(path: Path) -> float:
        return path.revenue

    effects = effects_of(paths)
    total = gain_by_solving(paths, revenue)
    assume(abs(total) > 1e-3)

    assert effects.revenue_per_path == pytest.approx(total, abs=1e-9)
    for channel, effect in revenue_by_channel(effects).items():
        rest = gain_by_solving(paths, revenue, without=channel)
        assert effect == pytest.approx(1 - rest / total, abs=1e-9)


@given(path_tables())
def test_base_rates_are_the_paths_own(paths: list[Path]) -> None:
    effects = effects_of(paths)
    count = sum(path.conversions + path.nulls for path in paths)

    assert effects.conversion_probability == pytest.approx(
        sum(path.conversions for path in paths) / count, abs=1e-9
    )
    assert effects.revenue_per_path == pytest.approx(
        sum(path.revenue for path in paths) / count, abs=1e-9
    )


@given(path_tables())
def test_removal_effects_lie_between_0_and_1(paths: list[Path]) -> None:
    effects = effects_of(paths)

    for effect in (effects.conversion, effects.revenue):
        assert np.all((effect >= 0) & (effect <= 1 + 1e-9))


@given(path_tables())
def test_exactly_the_channels_that_can_lead_to_conversion_have_an_effect(
    paths: list[Path],
) -> None:
    leading = {path.channels[-1] for path in paths if path.conversions}
    for _ in CHANNELS:
        for path in paths:
            leading |= {before for before, after in pairwise(path.channels) if after in leading}

    effects = by_channel(effects_of(paths))

    assert {channel for channel, effect in effects.items() if effect != 0} == leading


@given(path_tables())
def test_shares_add_up_to_1_where_something_was_gained(paths: list[Path]) -> None:
    effects = effects_of(paths)
    converted = any(path.conversions for path in paths)
    earned = any(path.revenue for path in paths)

    assert channel_shares(effects.conversion).sum() == pytest.approx(1 if converted else 0)
    assert channel_shares(effects.revenue).sum() == pytest.approx(1 if earned else 0)


@given(path_tables(), st.permutations(CHANNELS))
def test_names_and_order_of_channels_do_not_matter(
    paths: list[Path], new_names: Sequence[str]
) -> None:
    rename = dict(zip(CHANNELS, new_names, strict=True))
    effects = effects_of(paths)
    renamed = effects_of(
        [path._replace(channels=[rename[channel] for channel in path.channels]) for path in paths]
    )

    assert_same(
        renamed, replace(effects, channels=tuple(rename[channel] for channel in effects.channels))
    )


@given(path_tables().flatmap(lambda paths: st.tuples(st.just(paths), st.permutations(paths))))
def test_order_of_paths_does_not_matter(both: tuple[list[Path], list[Path]]) -> None:
    paths, reordered = both

    assert_same(effects_of(reordered), effects_of(paths))


@given(path_tables())
def test_one_row_per_journey_equals_aggregated_paths(paths: list[Path]) -> None:
    def journeys() -> Iterator[Path]:
        for path in paths:
            for _ in range(path.conversions):
                yield Path(path.channels, 1, 0, path.revenue / path.conversions)
            for _ in range(path.nulls):
                yield Path(path.channels, 0, 1)

    assert_same(effects_of(list(journeys())), effects_of(paths))


@given(path_tables(), st.data())
def test_consecutive_repeats_of_a_channel_do_not_matter(
    paths: list[Path], data: st.DataObject
) -> None:
    times = st.integers(1, 4)
    repeated = [
        path._replace(
            channels=[again for channel in path.channels for again in [channel] * data.draw(times)]
        )
        for path in paths
    ]

    assert_same(effects_of(repeated), effects_of(paths))


# Edge cases


def test_no_paths_have_no_effects() -> None:
    effects = effects_of([])

    assert effects.channels == ()
    assert effects.conversion_probability == 0
    assert effects.revenue_per_path == 0


def test_without_conversions_everything_is_0() -> None:
    effects = effects_of([Path("ab", 0, 3), Path("b", 0, 1)])

    assert effects.conversion_probability == 0
    assert by_channel(effects) == {"a": 0, "b": 0}
    assert revenue_by_channel(effects) == {"a": 0, "b": 0}
    assert channel_shares(effects.conversion).tolist() == [0, 0]


def test_the_only_channel_loses_everything() -> None:
    effects = effects_of([Path("aaa", 1, 4, 20.0), Path("a", 2, 3, 30.0)])

    assert effects.conversion_probability == pytest.approx(0.3)
    assert effects.revenue_per_path == pytest.approx(5)
    assert by_channel(effects) == pytest.approx({"a": 1})
    assert revenue_by_channel(effects) == pytest.approx({"a": 1})


def test_a_channel_of_open_journeys_alone_loses_nothing() -> None:
    effects = effects_of([Path("ab", 2, 1, 9.0), Path("acb", 0, 3), Path("ad", 0, 2)])

    assert by_channel(effects)["d"] == 0
    assert revenue_by_channel(effects)["d"] == 0
    assert by_channel(effects)["b"] == pytest.approx(1)


def test_rounding_noise_is_no_effect() -> None:
    effects = by_channel(effects_of([Path("bdi", 1, 0), Path("dhbff", 0, 2)]))

    assert effects.pop("f") == 0
    assert effects == pytest.approx({"b": 1 / 3, "d": 1, "h": 2 / 9, "i": 1})


def test_a_path_that_never_happened_changes_nothing() -> None:
    paths = [Path("ab", 2, 1, 9.0), Path("b", 0, 3)]
    with_another = effects_of([*paths, Path("ca", 0, 0)])

    assert by_channel(with_another) == pytest.approx({**by_channel(effects_of(paths)), "c": 0})


def test_paths_that_all_never_happened_have_no_effects() -> None:
    effects = effects_of([Path("ca", 0, 0)])

    assert effects.conversion_probability == 0
    assert by_channel(effects) == {"a": 0, "c": 0}


def test_rows_of_one_step_are_added_up() -> None:
    counts = transition_counts(
        [START, START, "b", "a", "b", "a", "b", "a"],
        ["b", "b", "a", CONVERSION, "a", CONVERSION, "a", NULL],
        [1, 2, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 10, 0, 5, 0, 0],
    )

    assert counts.channels == ("a", "b")
    assert counts.starts.tolist() == [0, 3]
    assert counts.steps.tolist() == [[0, 0], [3, 0]]
    assert counts.conversions.tolist() == [2, 0]
    assert counts.nulls.tolist() == [1, 0]
    assert counts.revenue.tolist() == [15, 0]


def test_without_revenue_only_conversions_have_effects() -> None:
    effects = effects_of([Path("a", 1, 0), Path("b", 1, 0)])

    assert effects.revenue_per_path == 0
    assert revenue_by_channel(effects) == {"a": 0, "b": 0}
    assert by_channel(effects) == pytest.approx({"a": 0.5, "b": 0.5})


def test_500_channels_take_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    channels = [f"channel {number}" for number in range(500)]
    steps = [
        (from_state, to_state)
        for from_state in [START, *channels]
        for to_state in rng.choice(channels, size=10).tolist()
    ]
    steps += [(channel, end) for channel in channels for end in (CONVERSION, NULL)]
    from_states = [from_state for from_state, _ in steps]
    to_states = [to_state for _, to_state in steps]
    transitions = rng.integers(1, 100, len(steps))

    began = perf_counter()
    effects = removal_effects(transition_counts(from_states, to_states, transitions, transitions))
    seconds = perf_counter() - began

    assert seconds < 1
    assert len(effects.channels) == 500
    assert 0 < effects.conversion_probability < 1
    assert np.all((effects.conversion > 0) & (effects.conversion < 1))


# Errors


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        count_transitions([["a"], []], [1, 1], [0, 0], [0, 0])


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        count_transitions([["a"], ["b"]], [1], [0, 0], [0, 0])


@pytest.mark.parametrize("end", [CONVERSION, NULL])
def test_a_step_from_start_to_an_end_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        transition_counts([START, "a"], [end, CONVERSION], [1, 1], [0, 0])


@pytest.mark.parametrize(
    ("from_state", "to_state", "state"),
    [("a", START, START), (CONVERSION, "a", CONVERSION), (NULL, "a", NULL)],
)
def test_a_step_against_the_direction_of_a_path_is_refused(
    from_state: str, to_state: str, state: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"through the state '{state}'")):
        transition_counts([START, from_state], ["a", to_state], [1, 1], [0, 0])


# Tables


def step_table(*rows: tuple[str, str, str, str, int, str]) -> pa.Table:
    types, days, from_states, to_states, transitions, revenue = zip(*rows, strict=True)
    return pa.table(
        {
            "conversion_type": types,
            "day": days,
            "from_state": from_states,
            "to_state": to_states,
            "transitions": transitions,
            "revenue": pa.array([Decimal(amount) for amount in revenue], pa.decimal128(18, 2)),
        }
    )


# GA x2, M, GA > M convert, GA once does not; over two days.
PURCHASES = step_table(
    ("purchase", "2024-01-01", START, "GA", 2, "0"),
    ("purchase", "2024-01-01", "GA", CONVERSION, 1, "10.00"),
    ("purchase", "2024-01-01", "GA", NULL, 1, "0"),
    ("purchase", "2024-01-02", START, "GA", 2, "0"),
    ("purchase", "2024-01-02", "GA", CONVERSION, 1, "20.00"),
    ("purchase", "2024-01-02", "GA", "M", 1, "0"),
    ("purchase", "2024-01-02", "M", CONVERSION, 1, "40.00"),
    ("purchase", "2024-01-02", START, "M", 1, "0"),
    ("purchase", "2024-01-02", "M", CONVERSION, 1, "30.00"),
)
SIGNUPS = step_table(
    ("signup", "2024-01-01", START, "GA", 3, "0"),
    ("signup", "2024-01-01", "GA", CONVERSION, 3, "0"),
    ("signup", "2024-01-01", START, "Z", 1, "0"),
    ("signup", "2024-01-01", "Z", NULL, 1, "0"),
)


def one_day(*rows: tuple[str, str, int, str]) -> pa.Table:
    return step_table(*(("purchase", "2024-01-01", *row) for row in rows))


def column(table: pa.Table, name: str) -> dict[str, float]:
    return dict(zip(table["channel"].to_pylist(), table[name].to_pylist(), strict=True))


def test_table_adds_up_days_and_splits_conversions_and_revenue() -> None:
    result = attribute_transitions(PURCHASES)

    assert result.schema == CHANNEL_TOTALS
    assert result["conversion_type"].to_pylist() == ["purchase", "purchase"]
    assert column(result, "removal_effect") == pytest.approx({"GA": 0.75, "M": 0.5})
    assert column(result, "conversions") == pytest.approx({"GA": 2.4, "M": 1.6})
    assert column(result, "removal_effect_revenue") == pytest.approx({"GA": 0.65, "M": 0.7})
    assert column(result, "revenue") == pytest.approx({"GA": 6500 / 135, "M": 7000 / 135})


def test_table_keeps_conversion_types_apart() -> None:
    result = attribute_transitions(pa.concat_tables([SIGNUPS, PURCHASES]))

    assert result.schema == CHANNEL_TOTALS
    assert result.slice(0, 2).equals(attribute_transitions(PURCHASES))
    assert result.slice(2).to_pylist() == [
        {
            "conversion_type": "signup",
            "channel": "GA",
            "removal_effect": 1.0,
            "removal_effect_revenue": 0.0,
            "conversions": 3.0,
            "revenue": 0.0,
        },
        {
            "conversion_type": "signup",
            "channel": "Z",
            "removal_effect": 0.0,
            "removal_effect_revenue": 0.0,
            "conversions": 0.0,
            "revenue": 0.0,
        },
    ]


def test_table_without_rows_gives_none() -> None:
    result = attribute_transitions(PURCHASES.slice(0, 0))

    assert result.schema == CHANNEL_TOTALS
    assert result.num_rows == 0


def test_table_without_conversions_gives_zeros() -> None:
    result = attribute_transitions(
        one_day((START, "a", 4, "0"), ("a", "b", 1, "0"), ("a", NULL, 3, "0"), ("b", NULL, 1, "0"))
    )

    assert result["channel"].to_pylist() == ["a", "b"]
    for name in ("removal_effect", "removal_effect_revenue", "conversions", "revenue"):
        assert result[name].to_pylist() == [0, 0]


def test_revenue_follows_conversions_where_refunds_outweigh_a_channel() -> None:
    result = attribute_transitions(
        one_day(
            (START, "a", 2, "0"),
            (START, "b", 1, "0"),
            ("a", CONVERSION, 2, "-90.10"),
            ("b", CONVERSION, 1, "30.05"),
        )
    )

    # Shares of effects of both signs would give a more than the total and b the opposite sign.
    assert column(result, "revenue") == pytest.approx({"a": -60.05 * 2 / 3, "b": -60.05 / 3})
    assert column(result, "conversions") == pytest.approx({"a": 2, "b": 1})


def test_revenue_follows_conversions_where_its_effects_cancel_out() -> None:
    result = attribute_transitions(
        one_day(
            (START, "a", 1, "0"),
            ("a", CONVERSION, 1, "20.00"),
            (START, "b", 1, "0"),
            ("b", "c", 1, "0"),
            ("c", CONVERSION, 1, "-10.00"),
        )
    )

    assert column(result, "removal_effect_revenue") == pytest.approx({"a": 2, "b": -1, "c": -1})
    assert column(result, "revenue") == pytest.approx({"a": 10 / 3, "b": 10 / 3, "c": 10 / 3})


def test_order_of_rows_does_not_change_a_bit() -> None:
    rng = np.random.default_rng(1)
    channels = string.ascii_lowercase[:12]
    steps = [
        *((START, channel) for channel in channels),
        *((channel, other) for channel in channels for other in channels),
        *((channel, end) for channel in channels for end in (CONVERSION, NULL)),
    ]
    table = step_table(
        *(
            (
                conversion_type,
                f"2024-01-{day:02}",
                *step,
                int(rng.integers(1, 9)),
                f"{rng.integers(-500, 99_999) / 100:.2f}" if step[1] == CONVERSION else "0",
            )
            for conversion_type in ("purchase", "signup")
            for day in range(1, 21)
            for step in steps
        )
    )

    expected = attribute_transitions(table)

    assert np.all(np.isfinite(expected["revenue"].to_numpy()))
    assert pc.sum(expected["revenue"]).as_py() == pytest.approx(
        float(pc.sum(table["revenue"]).as_py())
    )
    for _ in range(5):
        shuffled = table.take(rng.permutation(table.num_rows))
        assert attribute_transitions(shuffled).equals(expected)

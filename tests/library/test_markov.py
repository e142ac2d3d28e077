import math
import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import chain, groupby, pairwise
from operator import attrgetter
from time import process_time
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reference import reference_data
from tributary import markov
from tributary.markov import (
    CHANNEL_TOTALS,
    CONVERSION,
    NULL,
    ORDERS,
    START,
    RemovalEffects,
    TransitionCounts,
    attribute_transitions,
    channel_shares,
    choose_order,
    count_transitions,
    describe_orders,
    removal_effect_of_set,
    removal_effects,
    transition_counts,
)

CHANNELS = "abcdef"


class Path(NamedTuple):
    channels: Sequence[str]
    conversions: int
    nulls: int
    revenue: float = 0.0


def counted(paths: Sequence[Path], order: int = 1) -> TransitionCounts:
    return count_transitions(
        [path.channels for path in paths],
        [path.conversions for path in paths],
        [path.nulls for path in paths],
        [path.revenue for path in paths],
        order,
    )


def effects_of(paths: Sequence[Path], order: int = 1) -> RemovalEffects:
    return removal_effects(counted(paths, order))


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
    paths: Sequence[Path],
    gain: Callable[[Path], float],
    without: Collection[str] = (),
    order: int = 1,
) -> float:
    """Expected gain of a path, by the definition: steps into a removed channel lead to null."""
    walks = [
        [(), *(tuple(path.channels[:end][-order:]) for end in range(1, len(path.channels) + 1))]
        for path in paths
    ]
    place = {state: index for index, state in enumerate({(): None, **dict.fromkeys(chain(*walks))})}
    steps = np.zeros((len(place), len(place)))
    gained = np.zeros(len(place))
    leaving = np.zeros(len(place))
    for path, walk in zip(paths, walks, strict=True):
        for state in walk:
            leaving[place[state]] += path.conversions + path.nulls
        for from_state, to_state in pairwise(walk):
            steps[place[from_state], place[to_state]] += path.conversions + path.nulls
        gained[place[walk[-1]]] += gain(path)
    leaving[leaving == 0] = 1
    for state, index in place.items():
        if set(state) & set(without):
            steps[:, index] = 0
    return float(
        np.linalg.solve(np.eye(len(place)) - steps / leaving[:, None], gained / leaving)[0]
    )


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


def published_paths() -> list[Path]:
    data = pa.csv.read_csv(
        reference_data("channelattribution", "Data.csv"),
        parse_options=pa.csv.ParseOptions(delimiter=";"),
    )
    return [
        Path(
            row["path"].split(" > "),
            row["total_conversions"],
            row["total_null"],
            row["total_conversion_value"],
        )
        for row in data.to_pylist()
    ]


def sampled_walks(
    paths: Sequence[Path], order: int, walks: int, seed: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Walk the chain at random: whether each walk converted, and which channels it visited."""
    counts: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
    for path in paths:
        before: tuple[str, ...] = ()
        for end in range(1, len(path.channels) + 1):
            state = tuple(path.channels[:end][-order:])
            counts.setdefault(before, Counter())[state] += path.conversions + path.nulls
            before = state
        counts.setdefault(before, Counter())[(CONVERSION,)] += path.conversions
        counts[before][(NULL,)] += path.nulls
    states = list(counts)
    channels = sorted({state[-1] for state in states if state})
    place = {state: index for index, state in enumerate([*states, (CONVERSION,), (NULL,)])}
    chances = np.zeros((len(states), len(place)))
    for state, next_states in counts.items():
        for next_state, count in next_states.items():
            chances[place[state], place[next_state]] = count
    chances = np.cumsum(chances, axis=1) / chances.sum(axis=1, keepdims=True)
    channel_of = np.array([channels.index(state[-1]) if state else -1 for state in states])

    rng = np.random.default_rng(seed)
    at = np.full(walks, place[()])
    visited = np.zeros((walks, len(channels)), bool)
    under_way = np.arange(walks)
    while len(under_way):
        ahead = chances[at[under_way]] < rng.random(len(under_way))[:, None]
        at[under_way] = ahead.sum(axis=1)
        under_way = under_way[at[under_way] < len(states)]
        visited[under_way, channel_of[at[under_way]]] = True
    return at == place[(CONVERSION,)], visited, channels


@pytest.mark.parametrize("order", [2, 3])
def test_higher_orders_equal_sampled_walks_of_published_paths(order: int) -> None:
    paths = published_paths()
    effects = effects_of(paths, order)

    converted, visited, channels = sampled_walks(paths, order, walks=40_000, seed=order)

    # Without a channel, what converts are the walks that never came to it.
    sampled = visited[converted].mean(axis=0)
    errors = np.sqrt(sampled * (1 - sampled) / converted.sum()) + 1 / converted.sum()
    assert list(effects.channels) == channels
    assert effects.conversion_probability == pytest.approx(19_785 / 88_387, rel=0, abs=1e-12)
    assert np.all(np.abs(effects.conversion - sampled) < 4 * errors)
    assert np.abs(effects.conversion - effects_of(paths).conversion).max() > 4 * errors.max()


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


orders = st.integers(1, 5)


@given(path_tables(), orders)
def test_removal_effects_of_conversions_follow_the_definition(
    paths: list[Path], order: int
) -> None:
    def conversions(path: Path) -> float:
        return path.conversions

    effects = effects_of(paths, order)
    total = gain_by_solving(paths, conversions, order=order)

    assert effects.conversion_probability == pytest.approx(total, abs=1e-9)
    for channel, effect in by_channel(effects).items():
        rest = gain_by_solving(paths, conversions, without=channel, order=order)
        assert effect == pytest.approx(1 - rest / total if total else 0, abs=1e-9)


@given(path_tables(min_revenue=-100), orders)
def test_removal_effects_of_revenue_follow_the_definition(paths: list[Path], order: int) -> None:
    def revenue(path: Path) -> float:
        return path.revenue

    effects = effects_of(paths, order)
    total = gain_by_solving(paths, revenue, order=order)
    assume(abs(total) > 1e-3)

    assert effects.revenue_per_path == pytest.approx(total, abs=1e-9)
    for channel, effect in revenue_by_channel(effects).items():
        rest = gain_by_solving(paths, revenue, without=channel, order=order)
        assert effect == pytest.approx(1 - rest / total, abs=1e-9)


@settings(max_examples=50)
@given(path_tables(), st.sets(st.sampled_from(CHANNELS)), orders)
def test_removal_effect_of_a_set_follows_the_definition(
    paths: list[Path], channels: set[str], order: int
) -> None:
    counts = counted(paths, order)
    channels &= set(counts.channels)

    lost = removal_effect_of_set(counts, channels)

    for effect, gain in ((lost.conversion, "conversions"), (lost.revenue, "revenue")):
        total = gain_by_solving(paths, attrgetter(gain), order=order)
        rest = gain_by_solving(paths, attrgetter(gain), channels, order)
        assert effect == pytest.approx(1 - rest / total if total else 0, abs=1e-9)


def test_removal_effect_of_all_channels_is_1_and_of_none_0() -> None:
    counts = counted([Path("ab", 1, 2, 5.0), Path("b", 1, 0, 5.0)], order=2)

    assert removal_effect_of_set(counts, {"a", "b"}) == (1, 1)
    assert removal_effect_of_set(counts, set()) == (0, 0)


@settings(max_examples=50)
@given(path_tables(min_revenue=-100), orders)
def test_series_and_inverse_agree(paths: list[Path], order: int) -> None:
    inverse = effects_of(paths, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markov, "MOST_STATES_INVERTED", 0)
        series = effects_of(paths, order)

    assert_same(series, replace(inverse, method="series"))
    assert (inverse.method, inverse.iterations) == ("inverse", None)
    assert series.method == "series"
    assert series.iterations is not None
    assert series.iterations >= 1


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


@settings(max_examples=50)
@given(path_tables(), st.permutations(CHANNELS), orders)
def test_names_and_order_of_channels_do_not_matter(
    paths: list[Path], new_names: Sequence[str], order: int
) -> None:
    rename = dict(zip(CHANNELS, new_names, strict=True))
    effects = effects_of(paths, order)
    renamed = effects_of(
        [path._replace(channels=[rename[channel] for channel in path.channels]) for path in paths],
        order,
    )

    assert_same(
        renamed, replace(effects, channels=tuple(rename[channel] for channel in effects.channels))
    )


@settings(max_examples=50)
@given(path_tables())
def test_an_order_beyond_the_longest_path_changes_nothing(paths: list[Path]) -> None:
    longest = max(len(path.channels) for path in paths)

    assert_same(effects_of(paths, longest + 2), effects_of(paths, longest))


@settings(max_examples=50)
@given(path_tables().flatmap(lambda paths: st.tuples(st.just(paths), st.permutations(paths))))
def test_order_of_paths_does_not_matter(both: tuple[list[Path], list[Path]]) -> None:
    paths, reordered = both

    assert_same(effects_of(reordered), effects_of(paths))


@settings(max_examples=50)
@given(path_tables())
def test_one_row_per_journey_equals_aggregated_paths(paths: list[Path]) -> None:
    def journeys() -> Iterator[Path]:
        for path in paths:
            for _ in range(path.conversions):
                yield Path(path.channels, 1, 0, path.revenue / path.conversions)
            for _ in range(path.nulls):
                yield Path(path.channels, 0, 1)

    assert_same(effects_of(list(journeys())), effects_of(paths))


@settings(max_examples=50)
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


def test_repeats_matter_to_higher_orders() -> None:
    # The second a of each path is preceded by a: a chain of order 2 has forgotten b by then.
    assert by_channel(effects_of([Path("ba", 0, 1), Path("a", 1, 0)], 2))["b"] == 0
    assert by_channel(effects_of([Path("baa", 0, 1), Path("aa", 1, 0)], 2))["b"] == 0.5


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
        [[START], [START], ["b"], ["a"], ["b"], ["a"], ["b"], ["a"]],
        ["b", "b", "a", CONVERSION, "a", CONVERSION, "a", NULL],
        [1, 2, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 10, 0, 5, 0, 0],
    )

    assert counts.channels == ("a", "b")
    assert counts.starts.tolist() == [0, 3]
    assert counts.steps.toarray().tolist() == [[0, 0], [3, 0]]
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
    from_states = [[from_state] for from_state, _ in steps]
    to_states = [to_state for _, to_state in steps]
    transitions = rng.integers(1, 100, len(steps))

    began = process_time()
    effects = removal_effects(transition_counts(from_states, to_states, transitions, transitions))
    seconds = process_time() - began

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
        transition_counts([[START], ["a"]], [end, CONVERSION], [1, 1], [0, 0])


@pytest.mark.parametrize(
    ("from_state", "to_state", "state"),
    [("a", START, START), (CONVERSION, "a", CONVERSION), (NULL, "a", NULL)],
)
def test_a_step_against_the_direction_of_a_path_is_refused(
    from_state: str, to_state: str, state: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"through the state '{state}'")):
        transition_counts([[START], [from_state]], ["a", to_state], [1, 1], [0, 0])


# Tables


def step_table(*rows: tuple[str, str, str, str, int, str]) -> pa.Table:
    types, days, from_states, to_states, transitions, revenue = zip(*rows, strict=True)
    return pa.table(
        {
            "conversion_type": types,
            "day": days,
            "from_states": [[state] for state in from_states],
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


ERRORS = [
    f"{kind}_{name}" for kind in ("conversions", "revenue") for name in ("std_error", "low", "high")
]


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
            "markov_order": 1,
            "removal_effect": 1.0,
            "removal_effect_revenue": 0.0,
            "conversions": 3.0,
            "revenue": 0.0,
            **dict.fromkeys(ERRORS),
        },
        {
            "conversion_type": "signup",
            "channel": "Z",
            "markov_order": 1,
            "removal_effect": 0.0,
            "removal_effect_revenue": 0.0,
            "conversions": 0.0,
            "revenue": 0.0,
            **dict.fromkeys(ERRORS),
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


# Orders of the chain, and errors, from tables with person groups


class Journey(NamedTuple):
    person: int
    channels: Sequence[str]
    converts: bool
    revenue: int = 0


def journey_table(journeys: Sequence[Journey], window: int, groups: int | None) -> pa.Table:
    """Transition counts as the warehouse delivers them, with windows of a length."""
    steps: Counter[tuple[int, tuple[str, ...], str]] = Counter()
    revenue: Counter[tuple[int, tuple[str, ...], str]] = Counter()
    for journey in journeys:
        group = journey.person % (groups or 1)
        path = [*journey.channels, CONVERSION if journey.converts else NULL]
        for end, to_state in enumerate(path):
            step = (group, tuple(path[max(end - window, 0) : end]) or (START,), to_state)
            steps[step] += 1
            revenue[step] += journey.revenue if to_state == CONVERSION else 0
    columns = {
        "conversion_type": ["purchase"] * len(steps),
        "person_group": [group for group, _, _ in steps],
        "from_states": [list(states) for _, states, _ in steps],
        "to_state": [to_state for _, _, to_state in steps],
        "transitions": list(steps.values()),
        "revenue": pa.array([Decimal(revenue[step]) for step in steps], pa.decimal128(38, 10)),
    }
    if groups is None:
        del columns["person_group"]
    return pa.table(columns)


def journeys_of_order(order: int, people: int, seed: int = 0) -> list[Journey]:
    """Journeys whose next step depends on the channel that came `order` touches ago."""
    rng = np.random.default_rng(seed)
    following = {"a": [0.8, 0.1, 0.1], "b": [0.1, 0.1, 0.8], "c": [0.1, 0.8, 0.1], "": [1 / 3] * 3}
    converting = {"a": 0.1, "b": 0.4, "c": 0.9, "": 0.3}
    journeys = []
    for person in range(people):
        taste = rng.random()
        for _ in range(int(rng.integers(1, 4))):
            path: list[str] = []
            before = ""
            while not path or rng.random() < 0.8:
                path.append("abc"[rng.choice(3, p=following[before])])
                before = path[-order] if len(path) >= order else ""
            converts = bool(rng.random() < converting[before] * taste)
            journeys.append(Journey(person, path, converts, int(rng.integers(1, 99)) * converts))
    return journeys


@pytest.mark.parametrize("order", [1, 2, 3])
def test_windows_longer_than_the_order_serve_as_well(order: int) -> None:
    journeys = journeys_of_order(2, people=100)

    long = attribute_transitions(journey_table(journeys, 5, groups=20), order)
    short = attribute_transitions(journey_table(journeys, order, groups=20), order)
    paths = [
        Path(journey.channels, journey.converts, not journey.converts, journey.revenue)
        for journey in journeys
    ]

    assert long.equals(short)
    assert long["markov_order"].to_pylist() == [order] * 3
    assert column(long, "removal_effect") == pytest.approx(by_channel(effects_of(paths, order)))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_that_made_the_journeys_is_chosen(order: int) -> None:
    table = journey_table(journeys_of_order(order, people=500), 4, groups=50)

    chosen = attribute_transitions(table)
    described = describe_orders(table)

    assert set(chosen["markov_order"].to_pylist()) == {order}
    assert chosen.equals(attribute_transitions(table, order))
    assert described["is_used"].to_pylist() == [each == order for each in (1, 2, 3, 4)]


def test_held_out_log_likelihood_follows_its_definition() -> None:
    journeys = [
        *(Journey(0, path, True) for path in ("ab", "ab", "b")),
        *(Journey(1, path, False) for path in ("ac", "ab")),
        *(Journey(2, path, True) for path in ("cab", "a", "aab")),
    ]
    ends = {True: CONVERSION, False: NULL}
    outcomes = ["a", "b", "c", CONVERSION, NULL]

    def steps(persons: Collection[int]) -> list[tuple[tuple[str, ...], str]]:
        return [
            ((START, *journey.channels[:end]), to_state)
            for journey in journeys
            if journey.person in persons
            for end, to_state in enumerate([*journey.channels, ends[journey.converts]])
        ]

    def probability(past: tuple[str, ...], to_state: str, order: int, person: int) -> float:
        if order < 0:
            return 1 / len(outcomes)
        lower = probability(past, to_state, min(order, len(past)) - 1, person)
        # Windows that reach the start know it, so lower orders drop it first.
        window = past[-order:] if order else ()
        seen = [
            step
            for before, step in steps({0, 1, 2} - {person})
            if (before[-order:] if order else ()) == window
        ]
        kinds = len(set(seen))
        return (seen.count(to_state) + kinds * lower) / (len(seen) + kinds) if seen else lower

    expected = [
        sum(
            math.log(probability(past, to_state, order, person))
            for person in (0, 1, 2)
            for past, to_state in steps({person})
        )
        for order in (1, 2)
    ]

    result = describe_orders(journey_table(journeys, 2, groups=3))

    assert result["held_out_log_likelihood"].to_pylist() == pytest.approx(expected)
    per_step = result["held_out_log_likelihood_per_step"].to_pylist()
    assert per_step == pytest.approx([total / 24 for total in expected])


def test_the_lowest_order_within_one_standard_error_of_the_best_is_chosen() -> None:
    best = np.array([-10.0, -12.0, -11.0, -9.0])

    assert choose_order(np.array([best - [1, -0.9, 1, -0.9], best])) == 1
    assert choose_order(np.array([best - [1, 0.9, 1, 0.9], best])) == 2
    assert choose_order(np.array([best, best - 1, best])) == 1


def test_orders_are_described() -> None:
    journeys = [Journey(0, "ab", True, 5), Journey(1, "aab", False), Journey(2, "b", True, 5)]

    result = describe_orders(journey_table(journeys, 2, groups=3), order=2)

    assert result.schema == ORDERS
    rows = result.drop_columns(["held_out_log_likelihood", "held_out_log_likelihood_per_step"])
    shared = {
        "conversion_type": "purchase",
        "method": "inverse",
        "iterations": None,
        "conversion_probability": pytest.approx(2 / 3),
    }
    assert rows.to_pylist() == [
        {**shared, "markov_order": 1, "states": 2, "transitions": 6, "is_used": False},
        {**shared, "markov_order": 2, "states": 4, "transitions": 8, "is_used": True},
    ]


def test_orders_without_groups_have_no_likelihood_and_1_is_used() -> None:
    table = journey_table(journeys_of_order(2, people=30), 2, groups=None)

    result = describe_orders(table)

    assert result["held_out_log_likelihood"].to_pylist() == [None, None]
    assert result["is_used"].to_pylist() == [True, False]
    assert set(attribute_transitions(table)["markov_order"].to_pylist()) == {1}
    assert describe_orders(table.slice(0, 0)).equals(ORDERS.empty_table())


@pytest.mark.parametrize("order", [1, 2])
def test_standard_errors_are_those_of_a_bootstrap_over_persons(order: int) -> None:
    journeys = journeys_of_order(2, people=400, seed=3)
    result = attribute_transitions(journey_table(journeys, 2, groups=200), order)
    conversions = sum(journey.converts for journey in journeys)
    revenue = sum(journey.revenue for journey in journeys)

    rng = np.random.default_rng(4)
    person = np.array([journey.person for journey in journeys])
    paths = [journey.channels for journey in journeys]
    converts = np.array([journey.converts for journey in journeys], np.float64)
    earned = np.array([journey.revenue for journey in journeys], np.float64)
    drawn = []
    for _ in range(150):
        weight = rng.poisson(1, 400)[person].astype(np.float64)
        effects = removal_effects(
            count_transitions(
                paths,
                (weight * converts).tolist(),
                (weight * (1 - converts)).tolist(),
                (weight * earned).tolist(),
                order,
            )
        )
        drawn.append([channel_shares(effects.conversion), channel_shares(effects.revenue)])
    of_conversions, of_revenue = np.std(drawn, axis=0, ddof=1)

    ratio = result["conversions_std_error"].to_numpy() / (conversions * of_conversions)
    assert ratio == pytest.approx(np.ones(3), abs=0.25)
    ratio = result["revenue_std_error"].to_numpy() / (revenue * of_revenue)
    assert ratio == pytest.approx(np.ones(3), abs=0.25)


def test_standard_errors_of_series_and_inverse_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    table = journey_table(journeys_of_order(2, people=100), 3, groups=20)
    inverse = attribute_transitions(table, 3)
    monkeypatch.setattr(markov, "MOST_STATES_INVERTED", 0)

    series = attribute_transitions(table, 3)

    for name in ERRORS:
        assert column(series, name) == pytest.approx(column(inverse, name), rel=1e-9)


def test_intervals_follow_from_errors_and_end_at_0_and_the_total() -> None:
    journeys = [
        Journey(person, "a" if person % 7 else "ab", person % 3 == 0, 9 * (person % 3 == 0))
        for person in range(40)
    ]

    rows = attribute_transitions(journey_table(journeys, 1, groups=4)).to_pylist()

    assert [row["channel"] for row in rows] == ["a", "b"]
    # Student's t with three degrees of freedom leaves 2.5 % above 3.182.
    for row in rows:
        reach = 3.182446 * row["conversions_std_error"]
        assert row["conversions_std_error"] > 0
        assert row["conversions_low"] == pytest.approx(max(row["conversions"] - reach, 0))
        assert row["conversions_high"] == pytest.approx(min(row["conversions"] + reach, 14))
        assert row["revenue_high"] == pytest.approx(row["conversions_high"] * 9)
    assert rows[0]["conversions_high"] == 14
    assert rows[1]["conversions_low"] == 0


def test_the_only_channel_has_no_error() -> None:
    journeys = [Journey(person, "a", person % 2 == 0, 10) for person in range(20)]

    row = attribute_transitions(journey_table(journeys, 1, groups=5)).to_pylist()[0]

    assert row["conversions_std_error"] == pytest.approx(0, abs=1e-12)
    assert (row["conversions_low"], row["conversions_high"]) == pytest.approx((10, 10))


@pytest.mark.parametrize("groups", [None, 1])
def test_errors_need_two_groups(groups: int | None) -> None:
    table = journey_table(journeys_of_order(1, people=10), 2, groups)

    result = attribute_transitions(table, 2)

    assert all(result[name].null_count == result.num_rows for name in ERRORS)


def test_errors_are_empty_where_nothing_is_split() -> None:
    journeys = [Journey(0, "ab", False), Journey(1, "b", False)]

    result = attribute_transitions(journey_table(journeys, 2, groups=2))

    assert all(result[name].null_count == 2 for name in ERRORS)
    assert result["conversions"].to_pylist() == [0, 0]


def test_an_order_beyond_the_windows_is_the_longest_there_is() -> None:
    table = journey_table([Journey(0, "ab", True), Journey(1, "b", False)], 2, groups=2)

    assert attribute_transitions(table, 5).equals(attribute_transitions(table, 2))


def test_repeats_without_end_do_not_slow_the_series_down(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [Path("ab", 3, 5), Path(["r"] * 50_000, 0, 1), Path(["a", *["r"] * 9], 1, 0)]
    inverse = effects_of(paths, 2)
    monkeypatch.setattr(markov, "MOST_STATES_INVERTED", 0)

    series = effects_of(paths, 2)

    assert series.iterations is not None
    assert series.iterations < 10
    assert by_channel(series) == pytest.approx(by_channel(inverse), abs=1e-9)


def test_a_series_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markov, "MOST_STATES_INVERTED", 0)

    with pytest.raises(ArithmeticError, match="still under way"):
        effects_of([Path("ab" * 20_000, 1, 0)])


def test_paths_that_never_end_are_refused() -> None:
    counts = transition_counts(
        [[START], [START], ["a"], ["b"], ["c"]],
        ["a", "c", "b", "a", CONVERSION],
        [1, 1, 1, 1, 1],
        [0, 0, 0, 0, 1],
    )

    with pytest.raises(ValueError, match="never end"):
        removal_effects(counts)


def test_50_channels_in_200_groups_take_less_than_a_second() -> None:
    channels = [f"channel {number}" for number in range(50)]
    steps = [
        *([START, channel] for channel in channels),
        *([before, after] for before in channels for after in [*channels, CONVERSION, NULL]),
    ]
    rows = len(steps) * 200
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "conversion_type": pa.array(["purchase"] * rows),
            "person_group": np.repeat(np.arange(200), len(steps)),
            "from_states": pa.array([[before] for before, _ in steps] * 200),
            "to_state": pa.array([after for _, after in steps] * 200),
            "transitions": rng.integers(1, 20, rows),
            "revenue": pa.array(rng.integers(1, 20, rows)).cast(pa.decimal128(38, 10)),
        }
    )

    began = process_time()
    result = attribute_transitions(table, 1)
    seconds = process_time() - began

    assert seconds < 1
    assert result["conversions_std_error"].null_count == 0


@pytest.mark.parametrize("order", [0, -1])
def test_an_order_below_1_is_refused(order: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        attribute_transitions(PURCHASES, order)
    with pytest.raises(ValueError, match="at least 1"):
        describe_orders(PURCHASES, order)
    with pytest.raises(ValueError, match="at least 1"):
        count_transitions([["a"]], [1], [0], [0], order)


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="No path has these channels: y, z"):
        removal_effect_of_set(counted([Path("ab", 1, 0)]), {"a", "z", "y"})


@pytest.mark.parametrize("window", [[], None])
def test_a_step_from_nowhere_is_refused(window: list[str] | None) -> None:
    table = one_day((START, "a", 1, "0"), ("a", NULL, 1, "0"))
    windows = pa.array([[START], window], pa.list_(pa.string()))

    with pytest.raises(ValueError, match="needs a state before it"):
        attribute_transitions(table.set_column(2, "from_states", windows))


def test_a_start_within_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape(f"through the state '{START}'")):
        transition_counts([[START, "a"]], [NULL], [1], [0], order=2)


def test_a_person_without_group_is_refused() -> None:
    table = one_day((START, "a", 1, "0"), ("a", NULL, 1, "0"))

    with pytest.raises(ValueError, match="person_group"):
        attribute_transitions(table.append_column("person_group", pa.array([1, None])))


def test_windows_that_cannot_be_numbered_are_refused() -> None:
    channels = [f"channel {number}" for number in range(2000)]

    with pytest.raises(ValueError, match="choose a lower order"):
        count_transitions([channels], [1], [0], [0], order=5)


def test_a_text_is_no_window_of_channels() -> None:
    with pytest.raises(ValueError, match="a list of channels, not a text"):
        transition_counts(["ad"], [CONVERSION], [1], [0])

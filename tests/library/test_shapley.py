import itertools
import string
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import comb
from time import process_time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from reference import reference_data
from tributary import shapley
from tributary.markov import (
    CONVERSION,
    NULL,
    START,
    TransitionCounts,
    count_transitions,
    transition_counts,
)
from tributary.shapley import (
    CHANNELS_AT_ONCE,
    CONVERSION_RATES,
    MARKOV_COALITION_TOTALS,
    PERMUTATIONS,
    BoolArray,
    FloatArray,
    ShapleyEstimate,
    attribute_conversion_rates,
    attribute_markov_coalitions,
    coalition_worth,
    conversion_rate_shapley,
    conversion_rate_worth,
    markov_coalition_shapley,
    markov_coalition_worth,
    ordered_shapley_values,
    sampled_shapley,
    shapley_of_game,
    shapley_values,
)

CHANNELS = "abcdefgh"

Game = list[tuple[str, float]]
"""Channels of each set, one letter a channel, and what the set is worth."""


def games() -> st.SearchStrategy[Game]:
    sets = st.text(CHANNELS, min_size=1, max_size=12)
    return st.lists(st.tuples(sets, st.floats(-100, 100)), max_size=20)


def values_of(game: Game) -> dict[str, float]:
    return shapley_values([channels for channels, _ in game], [amount for _, amount in game])


def values_by_enumeration(game: Game) -> dict[str, float]:
    """Mean marginal worth over all coalitions of each size, by Shapley's definition."""
    players = sorted({channel for channels, _ in game for channel in channels})
    bit = {channel: 1 << index for index, channel in enumerate(players)}
    masks = [(sum(bit[channel] for channel in set(channels)), amount) for channels, amount in game]
    coalitions = range(1 << len(players))
    worth = [
        sum(amount for mask, amount in masks if mask & coalition == mask)
        for coalition in coalitions
    ]
    return {
        channel: sum(
            (worth[coalition | bit[channel]] - worth[coalition])
            / comb(len(players) - 1, coalition.bit_count())
            / len(players)
            for coalition in coalitions
            if not coalition & bit[channel]
        )
        for channel in players
    }


def test_equals_reference_result() -> None:
    data = pa.csv.read_csv(
        reference_data("channelattribution", "Data.csv"),
        parse_options=pa.csv.ParseOptions(delimiter=";"),
    )
    values = shapley_values(
        [path.split(" > ") for path in data["path"].to_pylist()],
        data["total_conversions"].to_pylist(),
    )

    assert values["alpha"] == pytest.approx(7627.944, rel=0, abs=5e-4)
    assert sum(values.values()) == pytest.approx(19_785)
    assert len(values) == 12


def test_worked_example() -> None:
    assert values_of([("a", 2), ("b", 1), ("ab", 1), ("abc", 3)]) == {"a": 3.5, "b": 2.5, "c": 1.0}


@given(games())
def test_equals_full_enumeration_of_the_game(game: Game) -> None:
    assert values_of(game) == pytest.approx(values_by_enumeration(game), rel=0, abs=1e-9)


def test_equals_full_enumeration_with_8_channels() -> None:
    rng = np.random.default_rng(0)
    game = [
        ("".join(rng.choice(list(CHANNELS), size=rng.integers(1, 9))), float(rng.integers(1, 50)))
        for _ in range(200)
    ]

    assert len(values_of(game)) == 8
    assert values_of(game) == pytest.approx(values_by_enumeration(game), rel=0, abs=1e-9)


@given(games())
def test_values_add_up_to_the_worth(game: Game) -> None:
    assert sum(values_of(game).values()) == pytest.approx(
        sum(amount for _, amount in game), rel=0, abs=1e-9
    )


@given(games(), st.permutations(CHANNELS))
def test_names_of_channels_do_not_matter(game: Game, new_names: Sequence[str]) -> None:
    rename = dict(zip(CHANNELS, new_names, strict=True))
    renamed = [
        ("".join(rename[channel] for channel in channels), worth) for channels, worth in game
    ]

    assert values_of(renamed) == {
        rename[channel]: value for channel, value in values_of(game).items()
    }


@given(games().flatmap(lambda game: st.tuples(st.just(game), st.permutations(game))))
def test_order_of_sets_does_not_change_a_bit(both: tuple[Game, Game]) -> None:
    game, reordered = both

    assert values_of(reordered) == values_of(game)
    assert list(values_of(reordered)) == sorted(values_of(game))


@given(games())
def test_order_and_repeats_within_a_set_do_not_matter(game: Game) -> None:
    repeated = [(channels[::-1] + channels[:2], worth) for channels, worth in game]

    assert values_of(repeated) == values_of(game)


def test_no_sets_have_no_values() -> None:
    assert shapley_values([], []) == {}


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        shapley_values([["a"], []], [1, 1])


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        shapley_values([["a"], ["b"]], [1])


# Ordered values


@given(games())
def test_positions_add_up_to_the_shapley_value(game: Game) -> None:
    ordered = ordered_shapley_values(
        [channels for channels, _ in game], [amount for _, amount in game]
    )
    totals: dict[str, float] = {}
    for (channel, _), value in ordered.items():
        totals[channel] = totals.get(channel, 0.0) + value

    assert totals == pytest.approx(values_of(game), rel=0, abs=1e-9)
    assert list(ordered) == sorted(ordered)


def test_a_position_is_that_among_distinct_channels_by_first_touch() -> None:
    assert ordered_shapley_values(["aab", "ba", "a", "bcba"], [2, 4, 1, 3]) == {
        ("a", 1): 2.0,
        ("a", 2): 2.0,
        ("a", 3): 1.0,
        ("b", 1): 3.0,
        ("b", 2): 1.0,
        ("c", 2): 1.0,
    }


def test_an_empty_path_has_no_positions() -> None:
    assert ordered_shapley_values([], []) == {}
    with pytest.raises(ValueError, match="at least one channel"):
        ordered_shapley_values([""], [1])


# Any game


def shapley_by_definition(worth: FloatArray) -> FloatArray:
    """Mean marginal worth over all coalitions of each size."""
    n = len(worth).bit_length() - 1
    return np.array(
        [
            sum(
                (worth[coalition | 1 << player] - worth[coalition])
                / comb(n - 1, coalition.bit_count())
                / n
                for coalition in range(1 << n)
                if not coalition >> player & 1
            )
            for player in range(n)
        ]
    )


def test_any_game_of_10_players_equals_the_definition() -> None:
    worth = np.random.default_rng(0).normal(size=(1 << 10, 2))

    values = shapley_of_game(worth)

    for game in range(2):
        assert values[:, game] == pytest.approx(
            shapley_by_definition(worth[:, game]), rel=0, abs=1e-9
        )
    assert values.sum(axis=0) == pytest.approx(worth[-1] - worth[0], rel=0, abs=1e-9)


def test_games_of_nobody_and_of_one() -> None:
    assert shapley_of_game([7.0]).shape == (0,)
    assert shapley_of_game([1.0, 5.0]).tolist() == [4.0]


@pytest.mark.parametrize("coalitions", [0, 3, 6])
def test_a_game_without_all_coalitions_is_refused(coalitions: int) -> None:
    with pytest.raises(ValueError, match=f"{coalitions} coalitions"):
        shapley_of_game(np.zeros(coalitions))


@given(games())
def test_subset_sums_have_the_closed_form_as_their_value(game: Game) -> None:
    worth = coalition_worth(
        [channels for channels, _ in game], [amount for _, amount in game], CHANNELS
    )

    values = dict(zip(CHANNELS, shapley_of_game(worth), strict=True))

    assert worth[0] == 0
    assert values == pytest.approx(dict.fromkeys(CHANNELS, 0.0) | values_of(game), rel=0, abs=1e-9)


def test_20_channels_are_enumerated_and_25_refused() -> None:
    letters = string.ascii_lowercase
    sets = [letters[place : place + 5] for place in range(16)]

    values = shapley_of_game(coalition_worth(sets, range(16), letters[:20]))

    expected = shapley_values(sets, range(16))
    assert dict(zip(letters, values, strict=False)) == pytest.approx(expected, rel=0, abs=1e-9)
    with pytest.raises(ValueError, match="25 channels"):
        coalition_worth(sets, range(16), letters[:25])


def test_a_channel_that_is_not_listed_is_refused() -> None:
    with pytest.raises(ValueError, match="'c' of a set is not in the list"):
        coalition_worth(["ac"], [1], "ab")


# Sampling


def assert_within_errors(estimate: ShapleyEstimate, exact: FloatArray) -> None:
    """Sampled values are off by their standard errors: neither far more nor far less."""
    assert estimate.is_sampled
    distances = (estimate.values - exact) / estimate.standard_errors
    assert np.abs(distances).max() < 4
    assert 0.5 < np.sqrt(np.mean(distances**2)) < 1.6


def test_sampling_is_within_its_errors_at_12_players() -> None:
    rng = np.random.default_rng(3)
    worth = np.sqrt(rng.random(1 << 12).cumsum())
    bits = 1 << np.arange(12)

    estimate = sampled_shapley(lambda members: worth[members @ bits], 12, 2_000, seed=1)

    assert_within_errors(estimate, shapley_of_game(worth))
    assert estimate.values.sum() == pytest.approx(worth[-1] - worth[0], rel=0, abs=1e-9)


def test_sampling_is_within_its_errors_at_30_players() -> None:
    rng = np.random.default_rng(4)
    sets = rng.random((200, 30)) < 0.15
    sets[:, 0] |= ~sets.any(axis=1)
    amounts = rng.integers(1, 50, 200).astype(float)
    names = [f"channel {index:02}" for index in range(30)]
    exact = shapley_values([np.array(names)[each].tolist() for each in sets], amounts.tolist())

    def contained(members: BoolArray) -> FloatArray:
        outside = sets.astype(float) @ ~members.T
        worth: FloatArray = amounts @ (outside == 0)
        return worth

    estimate = sampled_shapley(contained, 30, 600, seed=1)

    assert_within_errors(estimate, np.array([exact.get(name, 0.0) for name in names]))
    assert estimate.values.sum() == pytest.approx(amounts.sum(), rel=0, abs=1e-9)


def test_antithetic_pairs_leave_no_error_for_two_players() -> None:
    worth = np.array([0.0, 1.0, 4.0, 9.0])

    estimate = sampled_shapley(lambda members: worth[members @ [1, 2]], 2, 8, seed=0)

    assert estimate.values.tolist() == [3.0, 6.0]
    assert estimate.standard_errors.tolist() == [0.0, 0.0]


def test_the_same_seed_gives_the_same_values() -> None:
    worth = np.random.default_rng(0).random(1 << 6)

    def sample(seed: int) -> FloatArray:
        bits = 1 << np.arange(6)
        return sampled_shapley(lambda members: worth[members @ bits], 6, 10, seed).values

    assert sample(1).tolist() == sample(1).tolist()
    assert sample(1).tolist() != sample(2).tolist()


@pytest.mark.parametrize("permutations", [0, 2, 7])
def test_too_few_or_odd_permutations_are_refused(permutations: int) -> None:
    with pytest.raises(ValueError, match=f"{permutations} permutations"):
        sampled_shapley(lambda members: members.sum(axis=1) * 1.0, 3, permutations, 0)


# Conversion rates


SetOfJourneys = tuple[Sequence[str], int, int]
"""Channels, journeys that converted, and journeys that did not."""


def rate_by_definition(journeys: Sequence[SetOfJourneys], coalition: frozenset[str]) -> float:
    within = [each for each in journeys if frozenset(each[0]) <= coalition]
    converted = sum(each[1] for each in within)
    everybody = converted + sum(each[2] for each in within)
    return converted / everybody if everybody else 0.0


def coalitions_of(channels: Sequence[str]) -> list[frozenset[str]]:
    return [
        frozenset(channel for bit, channel in enumerate(channels) if coalition >> bit & 1)
        for coalition in range(1 << len(channels))
    ]


def random_journeys(
    channels: Sequence[str], sets: int, rng: np.random.Generator
) -> list[SetOfJourneys]:
    return [
        (
            rng.choice(list(channels), size=rng.integers(1, 6), replace=False).tolist(),
            int(rng.integers(0, 5)),
            int(rng.integers(0, 20)),
        )
        for _ in range(sets)
    ]


def test_conversion_rates_of_10_channels_equal_the_definition() -> None:
    channels = string.ascii_lowercase[:10]
    journeys = random_journeys(channels, 60, np.random.default_rng(0))
    worth = np.array([rate_by_definition(journeys, each) for each in coalitions_of(channels)])
    sets, conversions, open_journeys = zip(*journeys, strict=True)

    assert conversion_rate_worth(sets, conversions, open_journeys, channels) == pytest.approx(
        worth, rel=0, abs=1e-12
    )
    assert conversion_rate_shapley(
        sets, conversions, open_journeys, channels
    ).values == pytest.approx(shapley_by_definition(worth), rel=0, abs=1e-9)


def test_sampled_conversion_rates_are_within_their_errors_at_12_channels() -> None:
    channels = string.ascii_lowercase[:12]
    sets, conversions, open_journeys = zip(
        *random_journeys(channels, 80, np.random.default_rng(1)), strict=True
    )

    def values(exact_channels: int) -> ShapleyEstimate:
        return conversion_rate_shapley(
            sets, conversions, open_journeys, channels, exact_channels=exact_channels
        )

    assert_within_errors(values(0), values(12).values)
    assert values(0).values.sum() == pytest.approx(values(12).values.sum(), rel=0, abs=1e-12)


def test_sampled_conversion_rates_equal_the_definition_at_300_channels() -> None:
    channels = [f"channel {index:03}" for index in range(300)]
    # Long sets too, which lie within no prefix but the longest.
    journeys = [
        *random_journeys(channels, 60, np.random.default_rng(2)),
        (channels, 3, 0),
        (channels[1:], 0, 2),
    ]
    sets, conversions, open_journeys = zip(*journeys, strict=True)

    def worth_of(memberships: BoolArray) -> FloatArray:
        coalitions = (
            frozenset(itertools.compress(channels, members.tolist())) for members in memberships
        )
        return np.array([rate_by_definition(journeys, coalition) for coalition in coalitions])

    expected = sampled_shapley(worth_of, len(channels), 4, seed=0)
    found = conversion_rate_shapley(sets, conversions, open_journeys, channels, 4, seed=0)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12)


# Markov coalitions


def random_counts(n: int, seed: int) -> TransitionCounts:
    rng = np.random.default_rng(seed)
    return TransitionCounts(
        channels=tuple(f"channel {index:03}" for index in range(n)),
        starts=rng.integers(0, 100, n).astype(float),
        order=1,
        states=np.arange(n)[:, None],
        steps=csr_array(np.where(rng.random((n, n)) < 0.5, rng.integers(0, 60, (n, n)), 0.0)),
        conversions=rng.integers(0, 20, n).astype(float),
        nulls=rng.integers(1, 300, n).astype(float),
        revenue=rng.integers(0, 900, n).astype(float),
    )


def probability_by_solving(
    counts: TransitionCounts, coalition: Iterable[int]
) -> tuple[float, float]:
    """Conversion probability and revenue per path by the definition, one linear system."""
    members = list(coalition)
    leaving = counts.steps.sum(axis=1) + counts.conversions + counts.nulls
    inside = (
        np.eye(len(members)) - (counts.steps.toarray() / leaving[:, None])[np.ix_(members, members)]
    )
    start = (counts.starts / counts.starts.sum())[members]
    probability, revenue = (
        float(start @ np.linalg.solve(inside, (gain / leaving)[members]))
        for gain in (counts.conversions, counts.revenue)
    )
    return probability, revenue


def test_markov_coalitions_of_10_channels_equal_the_definition() -> None:
    counts = random_counts(10, seed=0)
    worth = np.array(
        [
            probability_by_solving(counts, (bit for bit in range(10) if coalition >> bit & 1))
            for coalition in range(1 << 10)
        ]
    )

    assert markov_coalition_worth(counts) == pytest.approx(worth, rel=0, abs=1e-12)
    values = markov_coalition_shapley(counts).values
    for game in range(2):
        assert values[:, game] == pytest.approx(
            shapley_by_definition(worth[:, game]), rel=0, abs=1e-9
        )


def test_coalitions_taken_in_parts_equal_the_definition() -> None:
    counts = random_counts(CHANNELS_AT_ONCE + 2, seed=1)
    worth = markov_coalition_worth(counts)

    for coalition in np.random.default_rng(0).integers(0, len(worth), 40).tolist():
        members = [bit for bit in range(len(counts.channels)) if coalition >> bit & 1]
        assert worth[coalition] == pytest.approx(
            probability_by_solving(counts, members), rel=0, abs=1e-12
        )


def test_worked_example_of_markov_coalitions() -> None:
    # GA x2, M and GA > M convert, GA once does not: v(GA) = .4, v(M) = .2, v(both) = .8.
    counts = count_transitions(
        [["GA"], ["M"], ["GA", "M"]], [2, 1, 1], [1, 0, 0], [20.0, 30.0, 40.0]
    )

    assert markov_coalition_worth(counts)[:, 0] == pytest.approx([0, 0.4, 0.2, 0.8])
    assert markov_coalition_shapley(counts).values[:, 0] == pytest.approx([0.5, 0.3])


@pytest.mark.parametrize("channels", [12, 20])
def test_sampled_markov_coalitions_are_within_their_errors(channels: int) -> None:
    counts = random_counts(channels, seed=channels)

    estimate = markov_coalition_shapley(counts, permutations=2_000, seed=1, exact_channels=0)

    exact = markov_coalition_shapley(counts)
    assert not exact.is_sampled
    assert not exact.standard_errors.any()
    for game in range(2):
        assert_within_errors(
            ShapleyEstimate(
                estimate.values[:, game], estimate.standard_errors[:, game], is_sampled=True
            ),
            exact.values[:, game],
        )
    assert estimate.values.sum(axis=0) == pytest.approx(exact.values.sum(axis=0), abs=1e-9)


def test_sampled_orders_of_30_channels_equal_the_definition_along_the_order() -> None:
    counts = random_counts(30, seed=3)

    def worth_of(members: BoolArray) -> FloatArray:
        return np.array([probability_by_solving(counts, np.flatnonzero(each)) for each in members])

    incremental = markov_coalition_shapley(counts, permutations=8, seed=5)
    solved = sampled_shapley(worth_of, 30, permutations=8, seed=5)

    assert incremental.values == pytest.approx(solved.values, rel=0, abs=1e-9)
    assert incremental.standard_errors == pytest.approx(solved.standard_errors, rel=0, abs=1e-9)


def test_two_seeds_agree_within_their_errors_at_30_channels() -> None:
    counts = random_counts(30, seed=3)
    one, other = (markov_coalition_shapley(counts, 1_000, seed) for seed in (1, 2))

    errors = np.hypot(one.standard_errors, other.standard_errors)[:, 0]
    distances = (one.values - other.values)[:, 0] / errors
    assert np.abs(distances).max() < 4
    assert 0.5 < np.sqrt(np.mean(distances**2)) < 1.6


def test_a_channel_from_which_no_path_ends_never_converts() -> None:
    counts = transition_counts(
        [[START], [START], ["a"], ["b"], ["c"], ["a"]], ["a", "b", CONVERSION, "c", "b", "b"],
        [3, 1, 2, 2, 2, 1], [0, 0, 9, 0, 0, 0],
    )  # fmt: skip

    values = markov_coalition_shapley(counts).values[:, 0]

    assert values == pytest.approx([0.75 * 2 / 3, 0, 0])


def test_no_channels_have_no_coalitions() -> None:
    counts = count_transitions([], [], [], [])

    assert markov_coalition_worth(counts).tolist() == [[0, 0]]
    assert markov_coalition_shapley(counts).values.shape == (0, 2)


def test_50_channels_are_attributed_in_a_moment() -> None:
    table = step_table(grouped_journeys(4_000, [f"channel {index}" for index in range(50)]))

    began = process_time()
    result = attribute_markov_coalitions(table)

    assert process_time() - began < 4  # 0.8 s on a quiet machine
    assert result["method"].unique().to_pylist() == ["sampled"]
    assert min(result["conversions_std_error"].to_pylist()) > 0
    assert pc.sum(result["conversions"]).as_py() == pytest.approx(
        pc.sum(table.filter(pc.equal(table["to_state"], CONVERSION))["transitions"]).as_py()
    )


# Tables of Markov coalitions


Journey = tuple[int, Sequence[str], bool, str]
"""Group of the person, channels, whether it converted, and its revenue."""


def step_table(journeys: Iterable[Journey], conversion_type: str = "purchase") -> pa.Table:
    rows = []
    for group, channels, converted, revenue in journeys:
        states = [START, *channels, CONVERSION if converted else NULL]
        rows += [
            {
                "conversion_type": conversion_type,
                "person_group": group,
                "from_states": [START] if step == 1 else states[max(1, step - 3) : step],
                "to_state": states[step],
                "transitions": 1,
                "revenue": Decimal(revenue if states[step] == CONVERSION else 0),
            }
            for step in range(1, len(states))
        ]
    return pa.Table.from_pylist(rows, schema=STEPS)


STEPS = pa.schema(
    {
        "conversion_type": pa.string(),
        "person_group": pa.int32(),
        "from_states": pa.list_(pa.string()),
        "to_state": pa.string(),
        "transitions": pa.int64(),
        "revenue": pa.decimal128(18, 2),
    }
)


def grouped_journeys(number: int, channels: Sequence[str], seed: int = 0) -> list[Journey]:
    rng = np.random.default_rng(seed)
    weights = np.random.default_rng(len(channels)).random(len(channels))
    return [
        (
            int(rng.integers(0, 200)),
            rng.choice(list(channels), size=rng.integers(1, 6), p=weights / weights.sum()).tolist(),
            bool(rng.random() < 0.3),
            f"{rng.integers(100, 9_999) / 100:.2f}",
        )
        for _ in range(number)
    ]


def column(table: pa.Table, name: str) -> dict[str, float]:
    return dict(zip(table["channel"].to_pylist(), table[name].to_pylist(), strict=True))


GA_AND_M: list[Journey] = [
    (1, ["GA"], True, "10.00"),
    (1, ["GA"], True, "10.00"),
    (1, ["M"], True, "30.00"),
    (1, ["GA", "M"], True, "40.00"),
    (1, ["GA"], False, "0"),
]


def test_table_of_markov_coalitions_splits_conversions_and_revenue() -> None:
    result = attribute_markov_coalitions(
        pa.concat_tables([step_table(GA_AND_M), step_table([(3, ["a"], True, "0")], "signup")])
    )

    assert result.schema == MARKOV_COALITION_TOTALS
    assert result["conversion_type"].to_pylist() == ["purchase", "purchase", "signup"]
    assert column(result.slice(0, 2), "conversions") == pytest.approx({"GA": 2.5, "M": 1.5})
    # Per visit GA is worth 20 / 4 and M 70 / 2: v(GA) = 4, v(M) = 7, v(both) = 18.
    assert column(result.slice(0, 2), "revenue") == pytest.approx({"GA": 37.5, "M": 52.5})
    assert result.slice(2).to_pylist() == [
        {
            "conversion_type": "signup",
            "channel": "a",
            "conversions": 1.0,
            "revenue": 0.0,
            "conversions_std_error": None,
            "conversions_low": None,
            "conversions_high": None,
            "method": "exact",
        }
    ]


def test_tables_without_rows_give_none() -> None:
    steps = attribute_markov_coalitions(step_table([]))
    rates = attribute_conversion_rates(rate_table([("a", 1, 1)]).slice(0, 0))

    assert steps.schema == MARKOV_COALITION_TOTALS
    assert rates.schema == CONVERSION_RATES
    assert steps.num_rows == rates.num_rows == 0


def test_without_conversions_markov_coalitions_are_0_and_have_no_error() -> None:
    result = attribute_markov_coalitions(
        step_table([(1, ["a"], False, "0"), (2, ["a", "b"], False, "0")])
    )

    assert column(result, "conversions") == {"a": 0, "b": 0}
    assert column(result, "revenue") == {"a": 0, "b": 0}
    assert column(result, "conversions_std_error") == {"a": None, "b": None}


def test_revenue_follows_conversions_where_a_refund_outweighs_a_channel() -> None:
    result = attribute_markov_coalitions(
        step_table([(1, ["a"], True, "-5.00"), (1, ["b"], True, "20.00")])
    )

    assert column(result, "revenue") == pytest.approx({"a": 7.5, "b": 7.5})


@pytest.mark.parametrize("channels", [12, 24])
def test_rounding_noise_is_no_negative_revenue(channels: int) -> None:
    names = string.ascii_lowercase[:channels]
    journeys = [
        (group, path, converted, "0.00" if path[-1] == "a" else revenue)
        for group, path, converted, revenue in grouped_journeys(400, names)
    ]
    journeys += [(1, ["z", "z"], False, "0.00")] * 7

    result = attribute_markov_coalitions(step_table(journeys))

    conversions, revenue = column(result, "conversions"), column(result, "revenue")
    assert conversions["z"] == revenue["z"] == 0
    assert revenue["a"] / sum(revenue.values()) < 0.8 * conversions["a"] / sum(conversions.values())


def test_jackknife_errors_are_those_of_a_share() -> None:
    # Every journey has one channel, so a's share is a plain proportion.
    rng = np.random.default_rng(0)
    journeys: list[Journey] = [
        (int(rng.integers(0, 200)), ["a" if rng.random() < 0.2 else "b"], True, "1.00")
        for _ in range(2_000)
    ]

    result = attribute_markov_coalitions(step_table(journeys)).to_pylist()[0]

    share = result["conversions"] / 2_000
    expected = (share * (1 - share) * 2_000) ** 0.5
    assert result["conversions_std_error"] == pytest.approx(expected, rel=0.4)
    assert result["conversions_high"] - result["conversions_low"] == pytest.approx(
        2 * 2.093 * result["conversions_std_error"], rel=1e-3
    )


def test_intervals_cover_what_other_people_give() -> None:
    channels = string.ascii_lowercase[:8]
    result, population = (
        attribute_markov_coalitions(step_table(grouped_journeys(number, channels, seed)))
        for number, seed in ((1_500, 0), (20_000, 1))
    )
    truth = column(population, "conversions")
    total = sum(truth.values())
    found = sum(column(result, "conversions").values())

    covered = [
        row["conversions_low"] <= truth[row["channel"]] / total * found <= row["conversions_high"]
        for row in result.to_pylist()
    ]
    assert sum(covered) >= 7


@pytest.mark.parametrize("channels", [6, 26])
def test_order_of_rows_and_names_do_not_matter_for_markov_coalitions(channels: int) -> None:
    names = string.ascii_lowercase[:channels]
    new_names = dict(zip(names, np.random.default_rng(1).permutation(list(names)), strict=True))
    journeys = grouped_journeys(400, names)
    table = step_table(journeys)
    expected = attribute_markov_coalitions(table)
    shuffled = table.take(np.random.default_rng(2).permutation(table.num_rows))

    renamed = attribute_markov_coalitions(
        step_table(
            (group, [new_names[channel] for channel in path], converted, revenue)
            for group, path, converted, revenue in journeys
        )
    )

    assert attribute_markov_coalitions(shuffled).equals(expected)
    for name in ("conversions", "revenue", "conversions_std_error"):
        assert column(renamed, name) == pytest.approx(
            {new_names[channel]: value for channel, value in column(expected, name).items()},
            rel=0,
            abs=1e-9,
        )


def test_a_step_from_nowhere_is_refused() -> None:
    table = step_table(GA_AND_M)
    place = table.column_names.index("from_states")
    empty = pa.array([[]] * table.num_rows, pa.list_(pa.string()))

    with pytest.raises(ValueError, match="from_states is empty"):
        attribute_markov_coalitions(table.set_column(place, "from_states", empty))


# Tables of conversion rates


def rate_table(journeys: Iterable[SetOfJourneys]) -> pa.Table:
    sets, conversions, open_journeys = zip(*journeys, strict=True)
    return pa.table(
        {
            "conversion_type": ["purchase"] * len(sets),
            "channel_set": pa.array([list(each) for each in sets], pa.list_(pa.string())),
            "conversions": conversions,
            "open_journeys": open_journeys,
        }
    )


def test_table_of_conversion_rates_adds_up_rows() -> None:
    # v(a) = .2, v(b) = .5, v(ab) = 4 / 16.
    result = attribute_conversion_rates(
        rate_table([("a", 1, 3), ("a", 1, 5), ("b", 2, 2), ("ab", 0, 2)])
    )

    assert result.schema == CONVERSION_RATES
    assert column(result, "value") == pytest.approx({"a": -0.025, "b": 0.275})
    assert column(result, "share") == pytest.approx({"a": -0.1, "b": 1.1})
    assert result["method"].to_pylist() == ["exact", "exact"]
    assert result["std_error"].to_pylist() == [0, 0]


def test_channels_that_recur_in_a_set_of_the_table_count_once() -> None:
    journeys = random_journeys(string.ascii_lowercase[:6], 150, np.random.default_rng(0))
    recurring = [
        ([*each, each[0]], converted, still_open) for each, converted, still_open in journeys
    ]

    assert column(attribute_conversion_rates(rate_table(recurring)), "value") == pytest.approx(
        column(attribute_conversion_rates(rate_table(journeys)), "value"), rel=0, abs=1e-12
    )


def test_fewer_orders_are_sampled_where_there_are_many_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journeys = random_journeys(string.ascii_lowercase, 150, np.random.default_rng(0))
    members = sum(len(each) for each, *_ in journeys)
    table = rate_table(journeys)
    of_all_orders = attribute_conversion_rates(table)

    monkeypatch.setattr(shapley, "RATE_SAMPLING_WORK", members * PERMUTATIONS // 4)
    of_a_few = attribute_conversion_rates(table)

    # A quarter of the orders: about twice the error.
    ratio = pc.divide(of_a_few["std_error"], of_all_orders["std_error"]).to_numpy()
    assert 1.5 < np.median(ratio) < 2.7
    assert sum(of_a_few["value"].to_pylist()) == pytest.approx(
        sum(of_all_orders["value"].to_pylist()), rel=0, abs=1e-12
    )


def test_without_conversions_there_are_no_shares_of_the_rate() -> None:
    result = attribute_conversion_rates(rate_table([("ab", 0, 3)]))

    assert result["value"].to_pylist() == [0, 0]
    assert result["share"].to_pylist() == [None, None]


@pytest.mark.parametrize("channels", [6, 26])
def test_order_of_rows_and_names_do_not_matter_for_conversion_rates(channels: int) -> None:
    names = string.ascii_lowercase[:channels]
    new_names = dict(zip(names, np.random.default_rng(1).permutation(list(names)), strict=True))
    journeys = random_journeys(names, 150, np.random.default_rng(0))
    table = rate_table(journeys)
    expected = attribute_conversion_rates(table)
    shuffled = table.take(np.random.default_rng(2).permutation(table.num_rows))

    renamed = attribute_conversion_rates(
        rate_table(
            ([new_names[channel] for channel in each], converted, still_open)
            for each, converted, still_open in journeys
        )
    )

    assert attribute_conversion_rates(shuffled).equals(expected)
    for name in ("value", "std_error"):
        assert column(renamed, name) == pytest.approx(
            {new_names[channel]: value for channel, value in column(expected, name).items()},
            rel=0,
            abs=1e-12,
        )

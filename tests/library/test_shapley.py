from collections.abc import Sequence
from decimal import Decimal
from math import comb

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import reference_data
from tributary.shapley import CHANNEL_TOTALS, attribute_channel_sets, shapley_values

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


# Tables


def set_table(*rows: tuple[str, str, int, str]) -> pa.Table:
    types, channel_sets, conversions, revenue = zip(*rows, strict=True)
    return pa.table(
        {
            "conversion_type": types,
            "channel_set": pa.array([list(each) for each in channel_sets], pa.list_(pa.string())),
            "conversions": conversions,
            "revenue": pa.array([Decimal(amount) for amount in revenue], pa.decimal128(18, 2)),
        }
    )


SETS = set_table(
    ("signup", "ab", 5, "0"),
    ("purchase", "a", 1, "10.00"),
    ("purchase", "ab", 1, "40.50"),
    ("purchase", "a", 1, "20.00"),
    ("purchase", "b", 1, "-5.25"),
)


def test_table_keeps_conversion_types_apart_and_adds_up_rows() -> None:
    result = attribute_channel_sets(SETS)

    assert result.schema == CHANNEL_TOTALS
    assert result.to_pylist() == [
        {"conversion_type": "purchase", "channel": "a", "conversions": 2.5, "revenue": 50.25},
        {"conversion_type": "purchase", "channel": "b", "conversions": 1.5, "revenue": 15.0},
        {"conversion_type": "signup", "channel": "a", "conversions": 2.5, "revenue": 0.0},
        {"conversion_type": "signup", "channel": "b", "conversions": 2.5, "revenue": 0.0},
    ]


def test_table_without_rows_gives_none() -> None:
    result = attribute_channel_sets(SETS.slice(0, 0))

    assert result.schema == CHANNEL_TOTALS
    assert result.num_rows == 0


def test_a_row_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        attribute_channel_sets(set_table(("purchase", "", 1, "1.00")))


def test_order_of_rows_does_not_change_a_bit() -> None:
    rng = np.random.default_rng(1)
    table = set_table(
        *(
            (
                str(rng.choice(["purchase", "signup"])),
                "".join(rng.choice(list(CHANNELS), size=rng.integers(1, 8))),
                int(rng.integers(1, 9)),
                f"{rng.integers(-500, 99_999) / 100:.2f}",
            )
            for _ in range(3_000)
        )
    )

    expected = attribute_channel_sets(table)

    assert expected.num_rows == 16
    for _ in range(5):
        shuffled = table.take(rng.permutation(table.num_rows))
        assert attribute_channel_sets(shuffled).equals(expected)

from collections.abc import Sequence
from decimal import Decimal
from time import process_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize

from reference import reference_data
from tributary.markov import channel_shares, count_transitions, removal_effects
from tributary.raking import CHANNEL_WEIGHTS, channel_weights, rake
from tributary.shapley import shapley_values

CHANNELS = "abcdef"
FloatArray = npt.NDArray[np.float64]
Sets = dict[str, float]


def membership_of(sets: Sets) -> npt.NDArray[np.bool_]:
    return np.array([[channel in of_set for channel in CHANNELS] for of_set in sets])


def conversions_of(sets: Sets) -> FloatArray:
    return np.array(list(sets.values()), np.float64)


def set_table(sets: Sets, conversion_type: str = "purchase") -> pa.Table:
    return pa.table(
        {
            "conversion_type": pa.array([conversion_type] * len(sets), pa.string()),
            "channel_set": pa.array([list(of_set) for of_set in sets], pa.list_(pa.string())),
            "conversions": pa.array(sets.values(), pa.int64()),
        }
    )


def total_table(
    totals: dict[str, float], model: str = "markov", conversion_type: str = "purchase"
) -> pa.Table:
    return pa.table(
        {
            "attribution_model": pa.array([model] * len(totals), pa.string()),
            "conversion_type": pa.array([conversion_type] * len(totals), pa.string()),
            "channel": pa.array(totals, pa.string()),
            "conversions": pa.array(totals.values(), pa.float64()),
        }
    )


def column(table: pa.Table, name: str) -> dict[str, float]:
    return dict(zip(table["channel"].to_pylist(), table[name].to_pylist(), strict=True))


def credits_by_journey(sets: Sets, weights: dict[str, float]) -> dict[str, float]:
    credited = dict.fromkeys(weights, 0.0)
    for of_set, conversions in sets.items():
        whole = sum(weights[channel] for channel in set(of_set))
        for channel in set(of_set):
            credited[channel] += conversions * weights[channel] / whole
    return credited


def fitted_proportionally(sets: Sets, targets: FloatArray, rounds: int) -> FloatArray:
    """Credits after plain iterative proportional fitting that ends with the sets' margin."""
    conversions = conversions_of(sets)
    table = membership_of(sets) * 1.0
    table *= (conversions / table.sum(axis=1))[:, None]
    for _ in range(rounds):
        columns = table.sum(axis=0)
        table = table * np.divide(targets, columns, out=np.zeros_like(columns), where=columns > 0)
        rows = table.sum(axis=1)
        table *= np.divide(conversions, rows, out=np.zeros_like(rows), where=rows > 0)[:, None]
    return np.asarray(table.sum(axis=0))


def nearest_by_convex_solver(sets: Sets, targets: FloatArray) -> FloatArray:
    """Credits c that minimise Kullback-Leibler divergence Σ t log(t / c), by a general solver."""
    conversions, membership = conversions_of(sets), membership_of(sets)
    row, channel = np.nonzero(membership)
    to_sets = np.equal.outer(np.arange(len(conversions)), row) * 1.0
    to_channels = np.equal.outer(np.arange(len(CHANNELS)), channel) * 1.0

    def divergence(cells: FloatArray) -> float:
        return float(-targets @ np.log(to_channels @ cells + 1e-12))

    def slope(cells: FloatArray) -> FloatArray:
        return np.asarray(-(targets / (to_channels @ cells + 1e-12)) @ to_channels)

    result = minimize(
        divergence,
        (conversions / membership.sum(axis=1))[row],
        jac=slope,
        method="SLSQP",
        bounds=[(0, None)] * len(row),
        constraints=LinearConstraint(to_sets, conversions, conversions),
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    return np.asarray(to_channels @ result.x)


set_tables = st.dictionaries(
    st.sets(st.sampled_from(CHANNELS), min_size=1).map(lambda of_set: "".join(sorted(of_set))),
    st.integers(1, 50),
    min_size=1,
    max_size=12,
)
amounts = st.lists(st.integers(1, 100), min_size=len(CHANNELS), max_size=len(CHANNELS))


# Totals that can be met


@given(set_tables, amounts)
@settings(max_examples=30)
def test_weights_that_made_the_totals_are_met(sets: Sets, weights: Sequence[int]) -> None:
    made_by = dict(zip(CHANNELS, map(float, weights), strict=True))
    totals = credits_by_journey(sets, made_by)

    result = channel_weights(set_table(sets), total_table(totals))

    assert result.schema == CHANNEL_WEIGHTS
    tolerance = 1e-9 * sum(sets.values())
    assert column(result, "credited_conversions") == pytest.approx(totals, abs=tolerance)
    assert credits_by_journey(sets, column(result, "weight")) == pytest.approx(
        totals, abs=tolerance
    )
    assert all(result["is_met"].to_pylist())


@given(set_tables, st.data())
@settings(max_examples=30)
def test_totals_of_any_split_of_the_sets_are_met(sets: Sets, data: st.DataObject) -> None:
    # Some splits need weights of 0: a channel that gets no shared conversion at all.
    totals = dict.fromkeys(CHANNELS, 0.0)
    for of_set, conversions in sets.items():
        parts = np.array([data.draw(st.integers(0, 3)) for _ in of_set]) + 0.0
        parts = parts / parts.sum() if parts.any() else np.eye(len(of_set))[0]
        for channel, part in zip(of_set, parts, strict=True):
            totals[channel] += conversions * part

    result = channel_weights(set_table(sets), total_table(totals))

    assert all(result["is_met"].to_pylist())
    assert min(result["weight"].to_pylist()) > 0


@given(set_tables)
@settings(max_examples=30)
def test_shapley_totals_give_equal_weights(sets: Sets) -> None:
    table = set_table(sets)
    totals = shapley_values(table["channel_set"].to_pylist(), table["conversions"].to_pylist())

    result = channel_weights(table, total_table(totals, "shapley"))

    count = result.num_rows
    assert result["weight"].to_pylist() == pytest.approx([1 / count] * count)
    assert all(result["is_met"].to_pylist())


def test_markov_totals_of_published_paths() -> None:
    data = pa.csv.read_csv(
        reference_data("channelattribution", "Data.csv"),
        parse_options=pa.csv.ParseOptions(delimiter=";"),
    )
    paths = [path.split(" > ") for path in data["path"].to_pylist()]
    conversions = data["total_conversions"].to_pylist()
    effects = removal_effects(
        count_transitions(paths, conversions, data["total_null"].to_pylist(), [0] * len(paths))
    )
    shares = channel_shares(effects.conversion)
    sets = pa.table(
        {
            "conversion_type": ["purchase"] * len(paths),
            "channel_set": paths,
            "conversions": conversions,
        }
    )
    totals = dict(zip(effects.channels, (shares * sum(conversions)).tolist(), strict=True))

    result = channel_weights(sets, total_table(totals))

    # Two totals lie below the solo floor. It is credited, and the others miss theirs by one factor.
    below = {"alpha": 5742.0, "mi": 2.0}
    rest = (19_785 - 5744) / sum(total for name, total in totals.items() if name not in below)
    expected = {name: below.get(name, total * rest) for name, total in totals.items()}
    assert column(result, "credited_conversions") == pytest.approx(expected, rel=1e-9)
    solo = column(result, "solo_conversions")
    assert {name for name, total in totals.items() if total < solo[name]} == set(below)
    assert not any(result["is_met"].to_pylist())


# Totals that cannot be met


INFEASIBLE: list[tuple[Sets, list[float]]] = [
    # Below the solo floor of a.
    ({"a": 50, "ab": 10, "bc": 40}, [30, 40, 30, 0, 0, 0]),
    # Every channel is above its own floor, but a and b together are below theirs.
    ({"a": 5, "b": 5, "ab": 60, "bc": 10, "abc": 20}, [30, 20, 50, 0, 0, 0]),
    # Above what c has touched; three levels.
    ({"ab": 20, "bc": 5, "cd": 5, "d": 50, "de": 20}, [5, 5, 40, 20, 30, 0]),
    ({"abc": 30, "def": 30, "cd": 20, "f": 20}, [1, 10, 19, 50, 10, 10]),
]


@pytest.mark.parametrize(("sets", "targets"), INFEASIBLE)
def test_otherwise_the_nearest_totals_are_credited(sets: Sets, targets: list[float]) -> None:
    wanted = np.array(targets)

    raked = rake(membership_of(sets), conversions_of(sets), wanted)

    assert raked.credited == pytest.approx(
        fitted_proportionally(sets, wanted, rounds=3000), abs=1e-6
    )
    assert raked.credited == pytest.approx(nearest_by_convex_solver(sets, wanted), abs=1e-3)
    assert np.abs(raked.credited - wanted).max() > 1


@given(set_tables, amounts)
@settings(max_examples=30)
def test_a_set_credits_only_the_channels_furthest_below_their_totals(
    sets: Sets, totals: Sequence[int]
) -> None:
    # The conditions of Karush, Kuhn and Tucker for the nearest credits, which is a convex problem.
    targets = np.array(totals, np.float64)
    raked = rake(membership_of(sets), conversions_of(sets), targets)
    reached = raked.credited / targets

    for of_set in sets:
        places = [CHANNELS.index(channel) for channel in of_set]
        shares = raked.weights[places] / raked.weights[places].sum()
        # Totals that differ by rounding alone need no levels.
        excess = shares * (reached[places] - reached[places].min())
        assert excess.max() < 1e-6


@given(set_tables, amounts)
@settings(max_examples=30)
def test_credits_add_up_and_keep_to_the_floor(sets: Sets, totals: Sequence[int]) -> None:
    result = channel_weights(
        set_table(sets), total_table(dict(zip(CHANNELS, map(float, totals), strict=True)))
    )

    credited = column(result, "credited_conversions")
    solo = column(result, "solo_conversions")
    assert sum(credited.values()) == pytest.approx(sum(sets.values()))
    assert solo == {channel: sets.get(channel, 0) for channel in CHANNELS}
    assert all(credited[channel] >= solo[channel] * (1 - 1e-12) for channel in CHANNELS)
    assert sum(column(result, "weight").values()) == pytest.approx(1)
    assert credits_by_journey(sets, column(result, "weight")) == pytest.approx(credited)


def test_a_channel_without_total_is_credited_with_its_floor() -> None:
    sets = {"a": 3.0, "ab": 7.0, "cd": 4.0, "bcd": 2.0}

    result = channel_weights(set_table(sets), total_table({"a": 4.0, "b": 12.0}))

    credited = column(result, "credited_conversions")
    assert credited == pytest.approx({"a": 3, "b": 9, "c": 2, "d": 2})
    assert column(result, "target_conversions") == {"a": 4, "b": 12, "c": 0, "d": 0}


def test_a_channel_that_touched_no_converted_journey_is_credited_with_nothing() -> None:
    result = channel_weights(set_table({"ab": 6.0}), total_table({"a": 2.0, "b": 2.0, "z": 2.0}))

    assert column(result, "credited_conversions") == pytest.approx({"a": 3, "b": 3, "z": 0})
    assert column(result, "is_met") == {"a": False, "b": False, "z": False}
    assert min(column(result, "weight").values()) > 0


# Tables


@given(set_tables, amounts, st.permutations(CHANNELS))
@settings(max_examples=30)
def test_names_do_not_matter(sets: Sets, totals: Sequence[int], new_names: Sequence[str]) -> None:
    rename = dict(zip(CHANNELS, new_names, strict=True))
    targets = dict(zip(CHANNELS, map(float, totals), strict=True))

    result = channel_weights(set_table(sets), total_table(targets))
    renamed = channel_weights(
        set_table({"".join(rename[name] for name in of_set): n for of_set, n in sets.items()}),
        total_table({rename[channel]: total for channel, total in targets.items()}),
    )

    credited = column(result, "credited_conversions")
    assert column(renamed, "credited_conversions") == pytest.approx(
        {rename[channel]: conversions for channel, conversions in credited.items()}, abs=1e-6
    )


def test_rows_of_one_set_are_added_up_in_any_order() -> None:
    rows = pa.table(
        {
            "day": ["1", "1", "2", "2", "3"],
            "conversion_type": ["purchase"] * 5,
            "channel_set": [["b", "a"], ["a"], ["a", "b"], ["b", "c", "b"], ["b", "c"]],
            "conversions": pa.array([Decimal(n) for n in (2, 3, 4, 1, 5)], pa.decimal128(18, 0)),
        }
    )
    totals = total_table({"a": 6.0, "b": 5.0, "c": 4.0})

    result = channel_weights(rows, totals)

    assert result.equals(channel_weights(set_table({"a": 3, "ab": 6, "bc": 6}), totals))
    assert result.equals(channel_weights(rows.take([4, 2, 0, 3, 1]), totals.take([2, 0, 1])))


def test_models_and_conversion_types_are_kept_apart() -> None:
    sets = pa.concat_tables([set_table({"ab": 10}), set_table({"ab": 4, "b": 2}, "signup")])
    totals = pa.concat_tables(
        [
            total_table({"a": 4.0, "b": 6.0}, "markov"),
            total_table({"a": 1.0, "b": 9.0}, "causal"),
            total_table({"a": 2.0, "b": 4.0}, "markov", "signup"),
        ]
    )

    rows = channel_weights(sets, totals).to_pylist()

    assert [
        (row["attribution_model"], row["conversion_type"], row["channel"], row["weight"])
        for row in rows
    ] == [
        ("causal", "purchase", "a", pytest.approx(0.1)),
        ("causal", "purchase", "b", pytest.approx(0.9)),
        ("markov", "purchase", "a", pytest.approx(0.4)),
        ("markov", "purchase", "b", pytest.approx(0.6)),
        ("markov", "signup", "a", pytest.approx(0.5)),
        ("markov", "signup", "b", pytest.approx(0.5)),
    ]


def test_no_sets_or_no_totals() -> None:
    sets, totals = set_table({"ab": 10}), total_table({"a": 0.0})

    without_totals = channel_weights(sets, totals.slice(0, 0))
    without_sets = channel_weights(sets.slice(0, 0), totals)

    assert without_totals.schema == CHANNEL_WEIGHTS
    assert without_totals.num_rows == 0
    assert without_sets.to_pylist() == [
        {
            "attribution_model": "markov",
            "conversion_type": "purchase",
            "channel": "a",
            "weight": 1.0,
            "target_conversions": 0.0,
            "credited_conversions": 0.0,
            "solo_conversions": 0.0,
            "is_met": True,
            "iterations": 0,
        }
    ]


def test_50_channels_and_50_000_sets_take_a_few_seconds() -> None:
    rng = np.random.default_rng(0)
    membership = rng.random((55_000, 50)) < 0.1
    membership[np.arange(len(membership)), rng.integers(0, 50, len(membership))] = True
    conversions = rng.zipf(1.8, len(membership)).clip(0, 10_000).astype(np.float64)
    weights = rng.dirichlet(np.ones(50))
    parts = membership * weights
    targets = conversions @ (parts / parts.sum(axis=1, keepdims=True))

    began = process_time()
    raked = rake(membership, conversions, targets)
    seconds = process_time() - began

    assert len(np.unique(membership, axis=0)) > 50_000
    assert seconds < 3
    assert raked.weights == pytest.approx(weights, rel=1e-9)


# Errors


def test_an_empty_set_is_refused() -> None:
    for conversions in (0, 1):
        with pytest.raises(ValueError, match="at least one channel"):
            channel_weights(set_table({"a": 1, "": conversions}), total_table({"a": 2.0}))


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf"), None])
def test_negative_or_missing_totals_are_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="Totals to rake"):
        channel_weights(set_table({"ab": 1}), total_table({"a": amount, "b": 1.0}))


def test_a_total_below_0_by_rounding_is_0() -> None:
    sets = set_table({"a": 1, "b": 2})
    weights = channel_weights(sets, total_table({"a": 1, "b": 2, "(baseline)": -4e-16}, "hazard"))

    assert column(weights, "target_conversions") == {"(baseline)": 0, "a": 1, "b": 2}
    assert column(weights, "credited_conversions")["(baseline)"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("amount", [-1, None])
def test_negative_or_missing_conversions_are_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="Conversions to rake"):
        channel_weights(set_table({"ab": amount, "a": 1}), total_table({"a": 1.0}))


def test_a_baseline_takes_part_in_every_journey_of_its_model_alone() -> None:
    sets = set_table({"a": 3, "ab": 5})
    totals = pa.concat_tables(
        [
            total_table({"a": 1, "b": 2, "(baseline)": 5}, "hazard"),
            total_table({"a": 5, "b": 3}, "markov"),
        ]
    )

    weights = channel_weights(sets, totals).to_pylist()

    assert [(row["attribution_model"], row["channel"]) for row in weights] == [
        ("hazard", "(baseline)"), ("hazard", "a"), ("hazard", "b"),
        ("markov", "a"), ("markov", "b"),
    ]  # fmt: skip
    assert [row["credited_conversions"] for row in weights] == pytest.approx([5, 1, 2, 5, 3])
    assert [row["solo_conversions"] for row in weights] == [0, 0, 0, 3, 0]
    base, a, b = (row["weight"] for row in weights[:3])
    assert 3 * a / (a + base) + 5 * a / (a + b + base) == pytest.approx(1)

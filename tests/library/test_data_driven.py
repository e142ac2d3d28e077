"""Data-driven attribution: games, conservation, recovery of known effects, honest evaluation."""

from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from tributary import data_driven
from tributary.data_driven import (
    BASELINE,
    RESULTS,
    DataDrivenFit,
    PersonDays,
    attribute_person_days,
    fit_data_driven,
    read_person_days,
)

Array = npt.NDArray[Any]
CHANNELS = ("strong", "weak", "idle", "direct")


def person_days(
    effects: tuple[float, ...] = (0.03, 0.012, 0.0, 0.0),
    base: float = 0.01,
    n: int = 6_000,
    seed: int = 1,
) -> PersonDays:
    """Ten person-days per row, and conversions of the same rows by an additive hazard."""
    rng = np.random.default_rng(seed)
    c = len(effects)
    level = rng.random((n, c)) * (rng.random((n, c)) < 0.35)
    level = np.stack([level, np.sqrt(level)], axis=2)
    hazard = base + (level[:, :, 0] > 0) @ np.array(effects)
    converted = rng.random(n) < hazard * 10
    index = np.concatenate([np.arange(n), np.flatnonzero(converted)])
    is_conversion = np.arange(len(index)) >= n
    return PersonDays(
        channels=CHANNELS[:c],
        is_behaviour=np.array(CHANNELS[:c]) == "direct",
        person=index,
        is_conversion=is_conversion,
        weight=np.where(is_conversion, 1.0, 10.0),
        revenue=np.where(is_conversion, 10.0 + index % 7, 0.0),
        level=level[index],
        is_touched=level[index][:, :, 0] > 0,
        days_at_risk=rng.random(n)[index] * 30,
        is_repeat=(rng.random(n) < 0.1)[index],
    )


def pick(data: PersonDays, rows: Array, channels: Array | None = None) -> PersonDays:
    order = np.arange(len(data.channels)) if channels is None else channels
    return PersonDays(
        channels=tuple(data.channels[index] for index in order),
        is_behaviour=data.is_behaviour[order],
        person=data.person[rows],
        is_conversion=data.is_conversion[rows],
        weight=data.weight[rows],
        revenue=data.revenue[rows],
        level=data.level[rows][:, order],
        is_touched=data.is_touched[rows][:, order],
        days_at_risk=data.days_at_risk[rows],
        is_repeat=data.is_repeat[rows],
    )


@pytest.fixture(scope="module")
def data() -> PersonDays:
    return person_days()


@pytest.fixture(scope="module")
def fit(data: PersonDays) -> DataDrivenFit:
    return fit_data_driven(data)


def tables(data: PersonDays, seed: int | None = None) -> tuple[pa.Table, pa.Table]:
    n = len(data.person)
    ids = np.array([f"{'c' if data.is_conversion[row] else 'd'}/{row:06d}" for row in range(n)])
    rows = pa.table(
        {
            "conversion_type": ["purchase"] * n,
            "source": ["s"] * n,
            "person_day_id": ids,
            "person_key": [int(person) for person in data.person],
            "is_conversion": data.is_conversion,
            "weight": data.weight,
            "revenue": data.revenue,
            "days_at_risk": data.days_at_risk,
            "is_repeat": data.is_repeat,
        }
    )
    row, channel = np.nonzero(data.is_touched)
    touches = pa.table(
        {
            "conversion_type": ["purchase"] * len(row),
            "source": ["s"] * len(row),
            "person_day_id": ids[row],
            "channel": np.array(data.channels, dtype=object)[channel],
            "is_behaviour": data.is_behaviour[channel],
            "level_2": data.level[row, channel, 0],
            "level_8": data.level[row, channel, 1],
        }
    )
    if seed is not None:
        rng = np.random.default_rng(seed)
        rows, touches = rows.take(rng.permutation(n)), touches.take(rng.permutation(len(row)))
    return rows, touches


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_exact_game_is_the_mean_over_all_orders(players: int, seed: int) -> None:
    game = data_driven._exact_game(players)
    values = np.random.default_rng(seed).normal(size=(1, len(game.coalitions)))
    of = {tuple(c): v for c, v in zip(game.coalitions.tolist(), values[0], strict=True)}
    expected = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = [False] * players
        for player in order:
            before = of[tuple(inside)]
            inside[player] = True
            expected[player] += (of[tuple(inside)] - before) / len(orders)
    np.testing.assert_allclose(game.shapley(values)[0], expected, atol=1e-12)


@given(st.integers(2, 30), st.integers(0, 1_000))
@settings(max_examples=25, deadline=None)
def test_a_sampled_game_is_efficient_and_exact_where_pairs_interact(
    players: int, seed: int
) -> None:
    game = data_driven._sampled_game(players, seed)
    rng = np.random.default_rng(seed)
    alone, pair = rng.normal(size=players), np.triu(rng.normal(size=(players, players)), 1)
    inside = game.coalitions.astype(float)
    values = inside @ alone + np.einsum("ei,ij,ej->e", inside, pair, inside)
    shapley = game.shapley(values[None])[0]
    # With every order comes its reverse: half of a pair's worth goes to each of the two, exactly.
    np.testing.assert_allclose(shapley, alone + (pair + pair.T).sum(axis=1) / 2, atol=1e-9)
    assert values[game.empty] == 0
    np.testing.assert_allclose(shapley.sum(), values[game.grand], atol=1e-9)


def test_credits_find_what_caused_the_conversions(fit: DataDrivenFit, data: PersonDays) -> None:
    rows = data.is_conversion & data.is_touched.any(axis=1)
    effects = np.array([0.03, 0.012, 0.0, 0.0])
    caused = data.is_touched[rows] * effects
    true = (caused / (0.01 + caused.sum(axis=1, keepdims=True))).sum(axis=0)
    credited = dict(zip(fit.channels, fit.conversions, strict=True))
    assert credited["strong"] == pytest.approx(true[0], rel=0.12)
    assert credited["weak"] == pytest.approx(true[1], rel=0.4)
    assert credited["idle"] < 0.1 * true.sum()
    assert credited["direct"] == 0
    assert credited[BASELINE] > 0
    assert fit.diagnostics["log_loss"] < fit.diagnostics["log_loss_null"]


def test_totals_are_the_conversions_that_have_a_touch(fit: DataDrivenFit, data: PersonDays) -> None:
    rows = data.is_conversion & data.is_touched.any(axis=1)
    assert rows.sum() < data.is_conversion.sum()
    assert fit.conversions.sum() == pytest.approx(rows.sum(), rel=1e-12)
    assert fit.revenue.sum() == pytest.approx(data.revenue[rows].sum(), rel=1e-12)
    assert (fit.conversions >= 0).all()
    assert np.isfinite(fit.std_error).all()
    assert (fit.std_error[1:3] > 0).all()


def test_a_sample_of_the_conversions_stands_for_all(
    monkeypatch: pytest.MonkeyPatch, fit: DataDrivenFit, data: PersonDays
) -> None:
    monkeypatch.setattr(data_driven, "SCORED_CONVERSIONS", 300)
    sampled = fit_data_driven(data)
    assert sampled.diagnostics["conversions_scored"] == 300
    assert sampled.conversions.sum() == pytest.approx(fit.conversions.sum(), rel=1e-12)
    assert sampled.revenue.sum() == pytest.approx(fit.revenue.sum(), rel=1e-12)
    assert sampled.conversions[1] == pytest.approx(fit.conversions[1], rel=0.1)
    assert sampled.std_error[1] > fit.std_error[1]


def test_sparse_features_lead_to_the_same_regression(
    data: PersonDays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_driven, "TOLERANCE", 1e-12)
    # The linear model alone, so that nothing of it is lost in the mixture.
    monkeypatch.setattr(data_driven, "_mix", lambda *_: (0.0, (0.0, 1.0)))
    monkeypatch.setattr(data_driven, "MOST_CELLS_FILLED", 0.0)
    dense = fit_data_driven(data)
    monkeypatch.setattr(data_driven, "MOST_CELLS_FILLED", 1.0)
    sparse = fit_data_driven(data)

    assert sparse.conversions == pytest.approx(dense.conversions, rel=1e-7)
    assert sparse.std_error == pytest.approx(dense.std_error, rel=1e-6)


def test_names_and_order_of_channels_and_rows_play_no_part(
    fit: DataDrivenFit, data: PersonDays
) -> None:
    order = np.array([2, 0, 3, 1])
    moved = fit_data_driven(pick(data, np.arange(len(data.person)), order))
    np.testing.assert_allclose(moved.conversions[1:], fit.conversions[1:][order], atol=1e-9)
    first = attribute_person_days(*tables(data))
    assert first.equals(attribute_person_days(*tables(data, seed=3)))


def test_noise_is_not_learned() -> None:
    """In-sample evaluation would find an AUC far above one half."""
    fit = fit_data_driven(person_days(effects=(0.0, 0.0, 0.0, 0.0), base=0.03, n=3_000))
    assert 0.42 < fit.diagnostics["auc"] < 0.58
    assert fit.diagnostics["log_loss"] == pytest.approx(fit.diagnostics["log_loss_null"], abs=0.02)
    assert fit.conversions[0] > 0.7 * fit.conversions.sum()


def test_a_channel_that_moves_no_prediction_earns_nothing_not_even_what_rounding_leaves(
    data: PersonDays,
) -> None:
    columns = data_driven._Columns.of(data, np.arange(len(data.channels)))

    class OneChannelCounts:
        coefficients = np.zeros(columns.codes.shape[1])
        intercept = 0.0

        def hazards(self, codes: Array, _: Array) -> Array:
            return np.where(codes[:, 0] > 0, 0.7, 0.1) / 3

        def mixed(self, hazards: Array) -> Array:
            return hazards

    model: Any = OneChannelCounts()
    rows = np.flatnonzero(data.is_touched[:, :3].all(axis=1))
    credits = data_driven._credits(model, columns, rows, seed=0)

    assert credits[:, 0] == pytest.approx(6 / 7)
    assert not credits[:, 1:].any()


def test_a_prediction_that_is_the_wrong_way_round_is_not_used() -> None:
    is_conversion = np.arange(400) < 100
    hazards = np.where(is_conversion, 0.01, 0.02) * np.ones((2, 1))
    _, (intercept, slope) = data_driven._mix(hazards, is_conversion, np.ones(400))
    assert slope == 0
    assert np.exp(intercept) == pytest.approx(100 / 300)


def test_trees_that_are_told_the_steps_are_those_that_look_for_them() -> None:
    rng = np.random.default_rng(0)
    codes = data_driven._codes(rng.random((3_000, 3)) * (rng.random((3_000, 3)) < 0.5))
    y, weight = rng.random(3_000) < 0.1 + 0.005 * codes[:, 0], rng.random(3_000)
    options = {"max_bins": data_driven.LEVELS_OF_A_FEATURE, "max_iter": 20, "random_state": 0}
    told = data_driven._Trees(**options, early_stopping=True).fit(codes, y, weight)
    found = HistGradientBoostingClassifier(**options, early_stopping=True).fit(codes, y, weight)
    np.testing.assert_array_equal(told.decision_function(codes), found.decision_function(codes))


def test_rare_conversions_are_explained_to_the_last() -> None:
    rng = np.random.default_rng(0)
    is_conversion = np.arange(2_000) < 200
    weight = np.where(is_conversion, 1.0, 5_000.0)
    hazard = np.exp(rng.normal(size=2_000) + is_conversion)
    intercept, slope = data_driven._calibration(hazard, is_conversion, weight)
    odds = np.exp(intercept) * hazard**slope
    assert weight @ (odds / (1 + odds)) == pytest.approx(200, rel=1e-3)


def test_evaluation_counts_rows_by_their_weight() -> None:
    """Two rows of half the weight are one row."""
    hazards = np.array([[0.1, 0.4, 0.2, 0.3]] * 2)
    is_conversion = np.array([True, True, False, False])
    weight = np.array([1.0, 2.0, 8.0, 4.0])
    twice = np.repeat(np.arange(4), 2)
    once = data_driven._quality(hazards[0], hazards, is_conversion, weight)
    split = data_driven._quality(
        hazards[0, twice], hazards[:, twice], is_conversion[twice], weight[twice] / 2
    )
    assert once == pytest.approx(split, abs=1e-4)
    assert once["auc"] == pytest.approx((1 * 0 + 2 * (8 + 4)) / (3 * 12))


def test_with_few_conversions_distinct_channels_share_equally(data: PersonDays) -> None:
    touched = np.flatnonzero(data.is_conversion & data.is_touched.any(axis=1))
    few = pick(data, np.concatenate([np.arange(500), touched[:20]]))
    fit = fit_data_driven(few)
    earning = few.is_touched[500:, :3]
    shares = earning / np.maximum(earning.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(fit.conversions[1:4], shares.sum(axis=0))
    assert fit.conversions.sum() == pytest.approx(20)
    assert fit.diagnostics["is_learned"] == 0
    assert np.isnan(fit.std_error).all()


def test_only_conversions_and_only_drawn_instants_are_no_error(data: PersonDays) -> None:
    (conversions,) = np.nonzero(data.is_conversion)
    assert fit_data_driven(pick(data, conversions)).diagnostics["is_learned"] == 0
    (drawn,) = np.nonzero(~data.is_conversion)
    assert fit_data_driven(pick(data, drawn)).conversions.sum() == 0


def test_long_journeys_over_many_channels() -> None:
    rng = np.random.default_rng(2)
    n, c = 900, 50
    touched = rng.random((n, c)) < 0.3
    level = touched[:, :, None] * rng.random((n, c, 2))
    is_conversion = np.arange(n) % 9 == 0
    data = PersonDays(
        channels=tuple(f"channel {index}" for index in range(c)),
        is_behaviour=np.zeros(c, dtype=bool),
        person=np.arange(n),
        is_conversion=is_conversion,
        weight=np.where(is_conversion, 1.0, 5.0),
        revenue=is_conversion * 1.0,
        level=level,
        is_touched=touched,
        days_at_risk=rng.random(n),
        is_repeat=np.zeros(n, dtype=bool),
    )
    fit = fit_data_driven(data)
    assert fit.diagnostics["is_learned"] == 1
    assert fit.conversions.sum() == pytest.approx(100)
    assert (fit.conversions >= 0).all()


def test_results_as_a_table(data: PersonDays) -> None:
    results = attribute_person_days(*tables(data))
    assert results.schema == RESULTS
    rows = results.to_pylist()
    totals = {row["name"]: row for row in rows if row["kind"] == "total"}
    assert set(totals) == {BASELINE, *CHANNELS}
    for row in totals.values():
        assert row["low"] <= row["value"] <= row["high"]
    touched = (data.is_conversion & data.is_touched.any(axis=1)).sum()
    assert sum(row["value"] for row in totals.values()) == pytest.approx(touched)


def test_nothing_in_nothing_out(data: PersonDays) -> None:
    rows, touches = tables(data)
    assert attribute_person_days(rows.slice(0, 0), touches.slice(0, 0)).num_rows == 0
    untouched = attribute_person_days(rows.slice(0, 1), touches.slice(0, 0)).to_pylist()
    assert [row["value"] for row in untouched if row["kind"] == "total"] == [0]


def test_people_of_two_sources_are_two_people(data: PersonDays) -> None:
    rows, touches = tables(pick(data, np.array([0, 0])))
    rows = rows.set_column(1, "source", pa.array(["a", "b"]))
    assert len(np.unique(read_person_days(rows, touches)["purchase"].person)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": np.zeros(1)}, "weight must be finite and positive"),
        ({"days_at_risk": np.array([-1.0])}, "days_at_risk must be finite and at least 0"),
        ({"revenue": np.zeros(2)}, "revenue must have one value"),
        ({"is_behaviour": np.zeros(1, dtype=bool)}, "is_behaviour must have one value"),
        ({"is_touched": np.zeros((1, 1), dtype=bool)}, "must have 1 rows of 4 channels"),
    ],
)
def test_wrong_input_is_an_error_that_says_what(
    data: PersonDays, change: dict[str, Array], message: str
) -> None:
    one = pick(data, np.array([0]))
    with pytest.raises(ValueError, match=message):
        PersonDays(**{**vars(one), **change})


def test_wrong_arguments_are_errors(data: PersonDays) -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        fit_data_driven(data, seed=-1)
    rows, touches = tables(pick(data, np.array([0])))
    with pytest.raises(ValueError, match="level_"):
        read_person_days(rows, touches.drop_columns(["level_2", "level_8"]))

"""The ihc model over arrays, and what finds its parameters."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.ihc import (
    PHASES,
    Curve,
    IhcParameters,
    Journeys,
    PhaseShares,
    compare,
    fit_ihc,
    half_of,
    learn_ihc,
    phase_shares,
)
from tributary.ihc_tables import seed_tables

CHANNELS = ("a", "b", "c")
TRUTH = IhcParameters(
    initializer=Curve(np.array([0.0, 10.0, 60.0]), np.array([0.0, 0.0, 0.8])),
    closer=Curve(np.array([0.0, 5.0, 100.0]), np.array([1.0, 0.5, 0.1])),
    phase_weights={"initializer": 0.5, "holder": 0.2, "closer": 0.3},
    channel_factors={"initializer": {"a": 0.5}, "closer": {"a": 1.5}},
)


def journeys_of(
    journeys: Sequence[Sequence[tuple[int, float, bool, bool]]], channels: tuple[str, ...]
) -> Journeys:
    """Journeys from (channel, hours before the next touch or the conversion, holds, closes)."""
    touches = [touch for journey in journeys for touch in journey]
    previous: list[float] = []
    to_conversion: list[float] = []
    for journey in journeys:
        waits = [wait for _, wait, _, _ in journey]
        previous += [float("nan"), *waits[:-1]]
        to_conversion += np.cumsum(waits[::-1])[::-1].tolist()
    return Journeys(
        conversion=np.repeat(np.arange(len(journeys)), [len(journey) for journey in journeys]),
        channel=np.array([touch[0] for touch in touches], dtype=np.int64),
        channels=channels,
        hours_since_previous=np.array(previous),
        hours_to_conversion=np.array(to_conversion),
        holder_engagement=np.array([touch[2] for touch in touches], dtype=bool),
        closer_engagement=np.array([touch[3] for touch in touches], dtype=bool),
    )


touches = st.tuples(st.integers(0, 2), st.floats(0, 500), st.booleans(), st.booleans())
some_journeys = st.lists(st.lists(touches, min_size=1, max_size=6), min_size=1, max_size=6).map(
    lambda journeys: journeys_of(journeys, CHANNELS)
)


def random_journeys(count: int, seed: int = 0) -> Journeys:
    random = np.random.default_rng(seed)
    return journeys_of(
        [
            [
                (
                    int(random.integers(3)),
                    float(random.exponential(30)),
                    bool(random.random() < 0.8),
                    bool(random.random() < 0.7),
                )
                for _ in range(random.integers(1, 6))
            ]
            for _ in range(count)
        ],
        CHANNELS,
    )


@given(some_journeys)
def test_phases_add_up_to_one_per_conversion_and_the_holder_may_be_empty(
    journeys: Journeys,
) -> None:
    shares = phase_shares(journeys, TRUTH)
    for name in ("initializer", "closer", "ihc"):
        totals = np.bincount(journeys.conversion, weights=getattr(shares, name))
        assert totals == pytest.approx(1, abs=1e-9)
    holder = np.bincount(journeys.conversion, weights=shares.holder)
    assert np.all((np.abs(holder - 1) < 1e-9) | (holder == 0))
    assert not np.any(shares.holder[~journeys.holder_engagement])
    assert min(getattr(shares, name).min() for name in (*PHASES, "ihc")) >= 0


def test_shares_worked_out_by_hand() -> None:
    journeys = journeys_of(
        [[(1, 60, True, False), (1, 5, True, True), (2, 0, True, True)], [(0, 1, True, True)]],
        CHANNELS,
    )
    shares = phase_shares(journeys, TRUTH)
    # Initializer 1, 0.8, 0; closer 0, 0.5, 1; nothing is left to hold in a journey of one touch.
    assert shares.initializer == pytest.approx([1 / 1.8, 0.8 / 1.8, 0, 1])
    assert shares.closer == pytest.approx([0, 1 / 3, 2 / 3, 1])
    rest = [(0.8 / 1.8, 1), (1 / 1.8, 2 / 3), (1, 1 / 3)]
    held = np.array([((a + b) / 2 + 2 * a * b / (a + b)) / 2 for a, b in rest])
    assert shares.holder == pytest.approx([*(held / held.sum()), 0])
    assert shares.ihc == pytest.approx(
        0.5 * shares.initializer
        + 0.2 * shares.holder
        + np.array([0.3, 0.3, 0.3, 0.5]) * shares.closer
    )


def test_engaged_touches_and_the_last_close_or_all_where_none_is_engaged() -> None:
    journeys = journeys_of(
        [
            [(1, 5, False, True), (1, 0, False, False), (1, 0, False, False)],
            [(1, 5, False, False), (1, 0, False, False)],
        ],
        CHANNELS,
    )
    assert phase_shares(journeys, TRUTH).closer == pytest.approx([1 / 3, 0, 2 / 3, 1 / 3, 2 / 3])


def test_factors_multiply_memberships_of_their_channel() -> None:
    journeys = journeys_of([[(0, 60, False, True), (1, 0, False, True)]], CHANNELS)
    shares = phase_shares(journeys, TRUTH)
    assert shares.initializer[0] == pytest.approx(0.5 / 1.3)
    weight = float(TRUTH.closer.at(np.array([60.0]))[0]) * 1.5
    assert shares.closer[0] == pytest.approx(weight / (weight + 1))


def test_fitting_finds_the_parameters_that_made_the_shares() -> None:
    journeys = random_journeys(1500)
    observed = phase_shares(journeys, TRUTH)
    fitted = fit_ihc(journeys, observed)
    fresh = random_journeys(500, seed=1)
    comparison = compare(fresh, phase_shares(fresh, fitted), phase_shares(fresh, TRUTH))
    assert comparison.mean_absolute_error["ihc"] < 0.002
    assert comparison.correlation > 0.999
    assert fitted.phase_weights == pytest.approx(TRUTH.phase_weights, abs=1e-3)
    closer = fitted.channel_factors["closer"]
    assert closer["a"] / closer["b"] == pytest.approx(1.5, rel=0.02)
    initializer = fitted.channel_factors["initializer"]
    assert initializer["a"] / initializer["c"] == pytest.approx(0.5, rel=0.02)
    assert np.all(np.diff(fitted.initializer.memberships) >= 0)
    assert np.all(np.diff(fitted.closer.memberships) <= 0)
    assert fitted.initializer.hours[0] == fitted.closer.hours[0] == 0


def test_fitting_does_not_depend_on_the_names_or_order_of_channels() -> None:
    journeys = random_journeys(200)
    observed = phase_shares(journeys, TRUTH)
    renamed = dataclasses.replace(
        journeys, channel=2 - journeys.channel, channels=("z", "y", "x")
    )  # a is x, b is y and c is z
    ours, theirs = fit_ihc(journeys, observed), fit_ihc(renamed, observed)
    assert theirs.phase_weights == pytest.approx(ours.phase_weights)
    assert theirs.closer.memberships == pytest.approx(ours.closer.memberships, abs=1e-4)
    for phase in PHASES:
        new = dict(zip("xyz", "abc", strict=True))
        factors = {new[name]: factor for name, factor in theirs.channel_factors[phase].items()}
        assert factors == pytest.approx(ours.channel_factors[phase], abs=1e-4)


def test_a_channel_of_which_nothing_is_known_has_no_factor() -> None:
    # No touch comes late enough to initialize again, so that the first one always has it all.
    journeys = journeys_of(
        [[(0, 1, True, True), (1, 1, True, True)], [(1, 2, True, True), (1, 1, True, True)]] * 5,
        CHANNELS,
    )
    fitted = fit_ihc(journeys, phase_shares(journeys, TRUTH))
    assert fitted.channel_factors["initializer"] == {}
    assert "c" not in fitted.channel_factors["closer"]


def test_weights_that_the_journeys_do_not_tell_are_equal() -> None:
    journeys = journeys_of([[(0, 1, False, True), (1, 1, False, False)]], CHANNELS)
    everything = np.array([1.0, 0.0])
    observed = PhaseShares(everything, np.zeros(2), everything, everything)
    weights = fit_ihc(journeys, observed).phase_weights
    assert weights == pytest.approx(dict.fromkeys(PHASES, 1 / 3), abs=1e-4)


def test_learning_from_journeys_alone() -> None:
    journeys = journeys_of(
        [[(0, 1, True, True), (0, 3, True, True), (0, 6, True, True), (1, 0, True, True)]],
        CHANNELS,
    )
    learnt = learn_ihc(journeys)
    # Pauses of 1, 3 and 6 hours: shares of the paused time in pauses up to that long.
    assert learnt.initializer.at(np.array([0.5, 1, 3, 6, 9])) == pytest.approx(
        [0.05, 0.1, 0.4, 1, 1]
    )
    # Followed touches wait 10, 9 and 6 hours: the share of them that wait longer.
    assert learnt.closer.at(np.array([0.0, 6, 9, 10])) == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert learnt.channel_factors == {}


@given(some_journeys)
def test_learnt_curves_are_monotone_memberships_that_work(journeys: Journeys) -> None:
    if np.all(journeys.is_first):
        with pytest.raises(ValueError, match="two or more touches"):
            learn_ihc(journeys)
        return
    learnt = learn_ihc(journeys)
    for curve, direction in ((learnt.initializer, 1), (learnt.closer, -1)):
        assert curve.hours[0] == 0
        assert np.all(np.diff(curve.hours) > 0)
        assert np.all(np.diff(curve.memberships) * direction >= -1e-12)
        assert curve.memberships.min() >= 0
        assert curve.memberships.max() <= 1 + 1e-12
    totals = np.bincount(journeys.conversion, weights=phase_shares(journeys, learnt).ihc)
    assert totals == pytest.approx(1)


def test_comparison_leaves_out_journeys_of_one_touch() -> None:
    journeys = journeys_of(
        [[(0, 1, True, True)], [(0, 1, True, True), (1, 1, True, True)]], ("x", "y")
    )
    ours = PhaseShares(*[np.array([1.0, 0.4, 0.6])] * 4)
    theirs = PhaseShares(*[np.array([0.0, 0.5, 0.5])] * 4)
    comparison = compare(journeys, ours, theirs)
    assert (comparison.conversions, comparison.touches) == (1, 2)
    assert comparison.mean_absolute_error["ihc"] == pytest.approx(0.1)
    assert comparison.channel_differences == pytest.approx({"x": -0.2, "y": 0.2})
    assert np.isnan(comparison.correlation)


def test_a_simplified_curve_moves_nowhere_by_more_than_the_tolerance() -> None:
    hours = np.linspace(0, 10, 101)
    curve = Curve(hours, np.exp(-hours))
    simple = curve.simplified(0.01)
    assert 2 < len(simple.hours) < 30
    assert np.abs(simple.at(hours) - curve.memberships).max() <= 0.01


def test_seeds_hold_the_parameters_without_factors_of_one() -> None:
    factors = {"closer": {"a": 1.5, "b": 1.001}}
    tables = seed_tables(dataclasses.replace(TRUTH, channel_factors=factors))
    assert tables["ihc_curves"] == (
        ("phase", "hours", "membership"),
        [
            ("initializer", 0.0, 0.0),
            ("initializer", 10.0, 0.0),
            ("initializer", 60.0, 0.8),
            ("closer", 0.0, 1.0),
            ("closer", 5.0, 0.5),
            ("closer", 100.0, 0.1),
        ],
    )
    assert tables["ihc_phase_weights"][1] == [
        ("initializer", 0.5),
        ("holder", 0.2),
        ("closer", 0.3),
    ]
    assert tables["ihc_channel_factors"][1] == [("closer", "a", 1.5)]


def test_points_that_round_to_the_same_hour_are_one() -> None:
    curve = Curve(np.array([0.0, 0.00001, 1.0, 1.00001]), np.array([0.0, 0.5, 0.6, 1.0]))
    rows = seed_tables(dataclasses.replace(TRUTH, initializer=curve))["ihc_curves"][1]
    assert rows[:2] == [("initializer", 0.0, 0.0), ("initializer", 1.0, 0.6)]


def test_half_is_a_half_and_the_same_every_time() -> None:
    assert half_of(range(7), 1).sum() == 3
    assert np.array_equal(half_of(range(100), 1), half_of(range(100), 1))
    assert not np.array_equal(half_of(range(100), 1), half_of(range(100), 2))


def test_bad_input_is_refused() -> None:
    journeys = journeys_of([[(0, 1, True, True), (1, 1, True, True)]], CHANNELS)
    with pytest.raises(ValueError, match="one observed share for every touch"):
        fit_ihc(journeys, PhaseShares(*[np.ones(3)] * 4))
    with pytest.raises(ValueError, match="differ in length"):
        dataclasses.replace(journeys, channel=np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="one after the other"):
        dataclasses.replace(journeys, conversion=np.array([1, 0]))
    single = journeys_of([[(0, 1, True, True)]], CHANNELS)
    with pytest.raises(ValueError, match="two or more touches"):
        fit_ihc(single, PhaseShares(*[np.ones(1)] * 4))


def test_no_journeys_have_no_shares() -> None:
    nothing = random_journeys(5).of(np.zeros(5, dtype=bool))
    shares = phase_shares(nothing, TRUTH)
    assert len(shares.ihc) == 0
    assert compare(nothing, shares, shares).touches == 0
    with pytest.raises(ValueError, match="two or more touches"):
        learn_ihc(nothing)

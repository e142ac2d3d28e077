from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from person_time import EFFECT_DECAY_DAYS, INTEREST_DECAY_DAYS, count_person_time
from tributary import hazard
from tributary.hazard import (
    BASELINE,
    LARGEST_REPEAT_FACTOR,
    NEWTON_EVERY,
    STD_ERROR_FACTOR,
    Feature,
    PersonTime,
    PersonTimeSample,
    after_first_conversion,
    channel_of,
    fit_hazard,
    fit_repeat_factor,
    held_out_log_likelihood,
    maximize_likelihood,
    merge_ordinals,
    perturbed_coefficients,
)
from tributary.hazard_tables import RESULTS, attribute_person_time, read_person_time

FloatArray = npt.NDArray[np.float64]
END = 40.0


class Events(NamedTuple):
    touch_person: npt.NDArray[np.int64]
    touch_day: FloatArray
    touch_channel: list[str]
    conversion_person: npt.NDArray[np.int64]
    conversion_day: FloatArray


def market(
    seed: int,
    effects: dict[str, float],
    people: int = 4_000,
    base: float = 0.002,
    variance: float = 0.0,
) -> tuple[Events, dict[str, int]]:
    """People touched at random; every conversion is drawn with the cause it truly has.

    Some convert more readily than others, whatever touches them: by a gamma number of mean 1.
    """
    rng = np.random.default_rng(seed)
    readiness = rng.gamma(1 / variance, variance, size=people) if variance else np.ones(people)
    persons, days, channels = [], [], []
    buyers, bought, causes = [], [], []
    for channel, effect in effects.items():
        person = np.repeat(np.arange(people), rng.poisson(1.0, size=people))
        day = rng.random(len(person)) * END
        persons.append(person)
        days.append(day)
        channels += [channel] * len(person)
        # A touch brings about a Poisson number of conversions, later by its mean life of 4 days.
        brought = np.repeat(np.arange(len(person)), rng.poisson(effect * readiness[person]))
        at = day[brought] + rng.exponential(4.0, size=len(brought))
        buyers.append(person[brought][at < END])
        bought.append(at[at < END])
        causes += [channel] * int((at < END).sum())
    anyway = np.repeat(np.arange(people), rng.poisson(base * END * readiness))
    buyers.append(anyway)
    bought.append(rng.random(len(anyway)) * END)
    events = Events(
        np.concatenate(persons),
        np.concatenate(days),
        channels,
        np.concatenate(buyers),
        np.concatenate(bought),
    )
    return events, {channel: causes.count(channel) for channel in effects}


def counted(
    events: Events, behaviour: tuple[str, ...] = (), *, uses_up: bool = False
) -> PersonTime:
    return count_person_time(*events, END, behaviour=behaviour, uses_up=uses_up)


@pytest.fixture(scope="module")
def small_market() -> tuple[PersonTime, dict[str, int]]:
    events, truth = market(1, {"a": 0.10, "b": 0.05, "c": 0.0})
    return counted(events), truth


# Counting


def random_events() -> st.SearchStrategy[Events]:
    days = st.integers(1, 39).map(float)
    touches = st.lists(
        st.tuples(st.integers(0, 3), days, st.sampled_from("ab")), min_size=1, max_size=12
    )
    conversions = st.lists(st.tuples(st.integers(0, 3), days.map(lambda d: d + 0.5)), max_size=6)
    return st.builds(
        lambda t, c: Events(
            np.array([row[0] for row in t], dtype=np.int64),
            np.array([row[1] for row in t]),
            [row[2] for row in t],
            np.array([row[0] for row in c], dtype=np.int64),
            np.array([row[1] for row in c], dtype=np.float64),
        ),
        touches,
        conversions,
    )


def features_by_definition(
    events: Events, person: int, day: float, uses_up: bool
) -> dict[tuple[str, int, float], float]:
    """Walk through the touches of a person up to a moment."""
    found: dict[tuple[str, int, float], float] = {}
    seen: dict[str, int] = {}
    earlier = [
        at
        for who, at in zip(events.conversion_person, events.conversion_day, strict=True)
        if who == person and at < day
    ]
    touches = sorted(
        (at, index)
        for index, at in enumerate(events.touch_day)
        if events.touch_person[index] == person
    )
    if not touches or touches[0][0] >= day:
        return found
    found[(BASELINE, int(bool(earlier)), 0.0)] = 1.0
    for at, index in touches:
        channel = events.touch_channel[index]
        seen[channel] = seen.get(channel, 0) + 1
        if at < day and not (uses_up and any(at < bought for bought in earlier)):
            for decay in (*EFFECT_DECAY_DAYS, INTEREST_DECAY_DAYS):
                key = (channel, min(seen[channel], 3), decay)
                found[key] = found.get(key, 0.0) + float(np.exp(-(day - at) / decay))
    return found


@given(random_events(), st.booleans())
@settings(max_examples=60)
def test_features_of_conversions_follow_the_definition(events: Events, uses_up: bool) -> None:
    data = counted(events, uses_up=uses_up)
    order = np.lexsort((events.conversion_day, events.conversion_person))
    expected = [
        features_by_definition(
            events, int(events.conversion_person[i]), float(events.conversion_day[i]), uses_up
        )
        for i in order
    ]
    expected = [row for row in expected if row]

    assert len(data.weights) == len(expected)
    for row, values in zip(data.values.toarray(), expected, strict=True):
        actual = {
            feature[:3]: value for feature, value in zip(data.features, row, strict=True) if value
        }
        assert actual == pytest.approx(values)


@given(random_events(), st.booleans())
@settings(max_examples=15)
def test_exposure_is_the_integral_of_the_features(events: Events, uses_up: bool) -> None:
    data = counted(events, uses_up=uses_up)
    assert data.repeat_exposure is not None
    exposure = {f[:3]: e for f, e in zip(data.features, data.exposure, strict=True)}
    after_first = {f[:3]: e for f, e in zip(data.features, data.repeat_exposure, strict=True)}
    # Whole days lie between what happens on whole and on half days.
    edges = np.arange(0, END + 0.25, 0.5)
    integral = dict.fromkeys(exposure, 0.0)
    integral_after_first = dict.fromkeys(exposure, 0.0)
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for person in set(events.touch_person.tolist()):
        for start, stop in pairwise(edges.tolist()):
            for node, weight in zip(nodes, weights, strict=True):
                day = start + (stop - start) * (node + 1) / 2
                present = features_by_definition(events, person, day, uses_up)
                for key, value in present.items():
                    integral[key] += weight / 2 * (stop - start) * value
                    if (BASELINE, 1, 0.0) in present:
                        integral_after_first[key] += weight / 2 * (stop - start) * value

    assert integral == pytest.approx(exposure, rel=1e-6, abs=1e-6)
    assert integral_after_first == pytest.approx(after_first, rel=1e-6, abs=1e-6)


def test_each_profile_has_a_baseline_of_its_own() -> None:
    data = count_person_time(
        np.array([0, 1]), np.array([0.0, 10.0]), ["a", "a"], np.array([1]), np.array([20.0]), 30.0,
        profile=np.array([0, 1]),
    )  # fmt: skip
    exposure = dict(zip(data.features, data.exposure, strict=True))
    at_risk = {f.ordinal: days for f, days in exposure.items() if f.channel == BASELINE}

    assert at_risk == {0: 30.0, 1: 0.0, 2: 10.0, 3: 10.0}


def test_what_happens_after_the_end_is_an_error() -> None:
    nobody = np.array([], dtype=np.int64)
    with pytest.raises(ValueError, match="after the end on day 5"):
        count_person_time(np.array([0]), np.array([6.0]), ["a"], nobody, np.array([]), 5.0)


# Maximum likelihood


def test_recovers_what_each_channel_brought_about() -> None:
    events, truth = market(3, {"a": 0.10, "b": 0.05, "c": 0.0}, people=20_000, base=0.0005)
    fit = fit_hazard(counted(events))
    credited = dict(zip(fit.channels, fit.conversions, strict=True))

    assert credited["a"] == pytest.approx(truth["a"], rel=0.10)
    assert credited["b"] == pytest.approx(truth["b"], rel=0.10)
    assert credited["c"] < 0.02 * sum(truth.values())


def test_likelihood_never_falls(small_market: tuple[PersonTime, dict[str, int]]) -> None:
    data, _ = small_market
    maximum = maximize_likelihood(
        data.values,
        data.exposure,
        data.weights[:, None],
        tolerance=1e-9,
        max_steps=2 * NEWTON_EVERY,
    )

    assert len(maximum.history) > NEWTON_EVERY
    assert np.all(np.diff(maximum.history[:, 0]) >= -1e-6)
    assert np.all(maximum.coefficients >= 0)


def test_features_much_alike_are_told_apart_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    days = np.random.default_rng(0).exponential(5.0, 3_000)
    values = sparse.csr_array(np.exp(-days[:, None] / np.array([3.0, 4.0, 5.0, 6.0])))
    exposure = np.array([300.0, 400.0, 500.0, 600.0])
    weights = np.column_stack([np.ones(len(days)), days < 6])
    quick = maximize_likelihood(values, exposure, weights, tolerance=1e-6)
    monkeypatch.setattr(hazard, "NEWTON_EVERY", 1_000_000)
    slow = maximize_likelihood(values, exposure, weights, tolerance=1e-6)

    assert quick.gap == pytest.approx(0, abs=1e-6)
    assert np.all(quick.log_likelihood >= slow.log_likelihood - 1e-9)
    assert np.all(quick.log_likelihood <= slow.log_likelihood + slow.gap + 1e-9)
    assert len(quick.history) < len(slow.history) / 3


def test_a_newton_step_that_leaves_conversions_without_hazard_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, small_market: tuple[PersonTime, dict[str, int]]
) -> None:
    data, _ = small_market
    weights = data.weights[:, None]
    best = maximize_likelihood(data.values, data.exposure, weights, tolerance=1e-4)
    monkeypatch.setattr(hazard._Quadratic, "peak", lambda self: np.zeros(len(self.exposure)))
    alone = maximize_likelihood(data.values, data.exposure, weights, tolerance=1e-4)

    assert len(alone.history) > NEWTON_EVERY
    assert alone.log_likelihood == pytest.approx(best.log_likelihood, abs=2e-4)


def test_a_quadratic_that_is_no_guide_is_tried_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Features much alike: other steps bring the maximum nearer only slowly.
    days = np.random.default_rng(0).exponential(5.0, 300)
    values = sparse.csr_array(np.exp(-days[:, None] / np.array([3.0, 4.0, 5.0, 6.0])))
    tries = []

    def peak(self: hazard._Quadratic) -> FloatArray:
        tries.append(self)
        return np.zeros(len(self.exposure))

    monkeypatch.setattr(hazard._Quadratic, "peak", peak)
    exposure = np.array([30.0, 40.0, 50.0, 60.0])
    fit = maximize_likelihood(values, exposure, np.ones((300, 1)), tolerance=0.0, max_steps=400)

    assert len(fit.history) == 400
    assert 3 <= len(tries) <= 400 / NEWTON_EVERY / 4


def test_a_hazard_without_a_reciprocal_is_none() -> None:
    # The second conversion has a feature, but next to nothing of it.
    values = sparse.csr_array(np.array([[1.0, 0.0], [0.0, 1e-300]]))
    exposure, weights = np.array([10.0, 10.0]), np.ones((2, 1))
    maximum = maximize_likelihood(values, exposure, weights, start=np.full((2, 1), 1e-12))
    quadratic = hazard._Quadratic.at(values, exposure, weights[:, 0], np.full(2, 1e-12))

    assert np.all(np.isfinite(maximum.coefficients))
    assert np.all(np.isfinite(maximum.log_likelihood))
    assert maximum.coefficients[0, 0] == pytest.approx(0.1)
    assert np.all(np.isfinite(quadratic.curvature))


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_the_peak_of_the_quadratic_is_where_no_coefficient_can_rise(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = sparse.csr_array(rng.random((40, size)))
    exposure, weights = values.sum(axis=0), rng.random(40)
    quadratic = hazard._Quadratic.at(values, exposure, weights, rng.random(size))
    peak = quadratic.peak() * exposure
    slope = quadratic.slope - quadratic.curvature @ (peak - quadratic.place)

    assert np.all(peak >= 0)
    assert np.all(slope < 1e-5)
    np.testing.assert_allclose(slope[peak > 0], 0, atol=1e-5)


def test_no_other_coefficients_are_more_likely_than_the_gap_says(
    small_market: tuple[PersonTime, dict[str, int]],
) -> None:
    data, _ = small_market
    weights = data.weights[:, None]
    rough = maximize_likelihood(data.values, data.exposure, weights, max_steps=10)
    best = maximize_likelihood(data.values, data.exposure, weights, tolerance=1e-4)

    missing = best.log_likelihood[0] - rough.log_likelihood[0]
    assert best.gap[0] <= 1e-4
    assert 0 <= missing <= rough.gap[0] + 1e-9


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_pass_in_blocks_of_features_is_a_pass_over_one_after_the_other(
    size: int, block: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=(40, size)) * (rng.random((40, size)) < 0.5)
    values[:, rng.random(size) < 0.2] = 0.0
    coefficients = rng.exponential(size=size) * (rng.random(size) < 0.7)
    quadratic = hazard._Quadratic.at(
        sparse.csr_array(values), rng.exponential(size=size), np.ones(40), coefficients
    )
    slopes = rng.normal(size=(len(quadratic.used), 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hazard, "FEATURES_PER_BLOCK", block)
        in_blocks = quadratic.maximum(slopes, sweeps=3)
        patch.setattr(hazard, "FEATURES_PER_BLOCK", 1)
        one_by_one = quadratic.maximum(slopes, sweeps=3)

    assert in_blocks == pytest.approx(one_by_one, rel=1e-9, abs=1e-9)


@given(random_events(), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_credits_add_up_to_the_conversions(events: Events, seed: int) -> None:
    data = counted(events)
    weights = np.random.default_rng(seed).integers(1, 4, len(data.weights)).astype(np.float64)
    fit = fit_hazard(replace(data, weights=weights), draws=4)

    assert fit.conversions.sum() == pytest.approx(weights.sum())
    assert np.all(fit.low <= fit.conversions + 1e-9)
    assert np.all(fit.conversions <= fit.high + 1e-9)


def test_a_feature_that_brought_about_next_to_nothing_brought_about_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without Newton steps coefficients near 0 and do not get there.
    monkeypatch.setattr(hazard, "NEWTON_EVERY", 10_000)
    data = counted(market(3, {"a": 0.10, "b": 0.0, "c": 0.0}, people=600)[0])
    fit = fit_hazard(data, draws=2)
    credited = fit.coefficients * data.exposure

    assert np.all((credited == 0) | (credited >= 1e-9))
    assert np.count_nonzero(credited == 0) > 0


@given(st.permutations(["a", "b", "c"]))
@settings(max_examples=4)
def test_names_and_order_do_not_matter(names: list[str]) -> None:
    events, _ = market(5, {"a": 0.10, "b": 0.05, "c": 0.02}, people=600)
    rename = dict(zip("abc", names, strict=True))
    shuffled = np.random.default_rng(0).permutation(len(events.touch_day))
    renamed = events._replace(
        touch_person=events.touch_person[shuffled],
        touch_day=events.touch_day[shuffled],
        touch_channel=[rename[events.touch_channel[i]] for i in shuffled],
    )
    first, second = fit_hazard(counted(events)), fit_hazard(counted(renamed))

    credited = dict(zip(second.channels, second.conversions, strict=True))
    for channel, conversions in zip(first.channels, first.conversions, strict=True):
        assert credited[rename.get(channel, channel)] == pytest.approx(conversions, abs=0.3)


def test_behaviour_is_baseline() -> None:
    events, truth = market(2, {"a": 0.10, "Direct": 0.10})
    fit = fit_hazard(counted(events, behaviour=("Direct",)))
    credited = dict(zip(fit.channels, fit.conversions, strict=True))

    assert credited["Direct"] == 0
    assert credited[BASELINE] > truth["Direct"]


def test_a_conversion_that_nothing_can_explain_is_left_out() -> None:
    maximum = maximize_likelihood(
        sparse.csr_array(np.array([[1.0, 0.0], [0.0, 1.0]])), np.array([10.0, 0.0]), np.ones((2, 1))
    )

    assert maximum.coefficients[:, 0] == pytest.approx([0.1, 0.0])


def test_merging_ordinals_adds_them_up(small_market: tuple[PersonTime, dict[str, int]]) -> None:
    data, _ = small_market
    merged, into = merge_ordinals(data)

    assert len(merged.features) == 3 * 4 + 2
    assert merged.exposure.sum() == pytest.approx(data.exposure.sum())
    assert merged.values.sum() == pytest.approx(data.values.sum())
    assert [merged.features[i][0] for i in into] == [f.channel for f in data.features]


# Validation and intervals


def held_out(data: PersonTime) -> float:
    best = maximize_likelihood(data.values, data.exposure, data.weights[:, None])
    return held_out_log_likelihood(data, best.coefficients[:, 0])


def test_validation_prefers_the_truth_to_a_model_without_channels(
    small_market: tuple[PersonTime, dict[str, int]],
) -> None:
    data, _ = small_market
    risk = [i for i, feature in enumerate(data.features) if feature.channel == BASELINE]
    blind = PersonTime(
        tuple(data.features[i] for i in risk),
        data.exposure[risk],
        sparse.csr_array(data.values[:, risk]),
        data.weights,
    )

    assert held_out(data) > held_out(blind) + 0.1


def test_held_out_likelihood_of_a_constant_hazard_is_known() -> None:
    n, days = 1_000, 50_000.0
    data = PersonTime(
        (Feature(BASELINE, 0, 0.0, True),),
        np.array([days]),
        sparse.csr_array(np.ones((n, 1))),
        np.ones(n),
    )

    assert held_out(data) == pytest.approx(np.log(n / days) - 1, abs=1e-3)


def test_fits_without_a_fold_do_not_depend_on_where_they_begin(
    small_market: tuple[PersonTime, dict[str, int]],
) -> None:
    data, _ = small_market
    rng = np.random.default_rng(0)
    elsewhere = rng.random(len(data.features)) / data.exposure
    elsewhere[rng.permutation(len(elsewhere))[:5]] = 0.0

    assert held_out_log_likelihood(data, elsewhere) == pytest.approx(held_out(data), abs=3e-4)


def test_std_errors_are_those_of_refits(small_market: tuple[PersonTime, dict[str, int]]) -> None:
    data, _ = merge_ordinals(small_market[0])
    best = maximize_likelihood(data.values, data.exposure, data.weights[:, None])
    drawn = np.random.default_rng(0).poisson(size=(len(data.weights), 300)).astype(float)
    quick = perturbed_coefficients(data, best.coefficients[:, 0], drawn)
    counts = np.random.default_rng(1).poisson(size=(len(data.weights), 100)).astype(np.float64)
    refits = maximize_likelihood(
        data.values, data.exposure, counts, tolerance=0.1, max_steps=200
    ).coefficients
    channels, owner = channel_of(data.features)
    for channel in range(len(channels)):
        of_channel = data.exposure * (owner == channel)
        assert (of_channel @ quick).std() == pytest.approx((of_channel @ refits).std(), rel=0.3)


@given(random_events(), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_draws_share_conversions_among_touches_as_defined(events: Events, seed: int) -> None:
    data = counted(events)
    rng = np.random.default_rng(seed)
    drawn = rng.exponential(size=(len(data.features), 5))
    # Draws in which some channels, or all, have no effect.
    drawn *= rng.random(drawn.shape) < [0.0, 0.2, 0.5, 0.8, 1.0]
    coefficients, draws = drawn[:, 2], drawn[:, [0, 1, 3, 4]]
    counts = rng.exponential(size=(len(data.weights), 4))
    _, shared = hazard._shared_among_touches(data, coefficients, counts, draws, seed)

    channels, owner = channel_of(data.features)
    heights, equal = data.values.toarray(), hazard._equal_shares(data)

    def shares(rates: FloatArray) -> FloatArray:
        of_channel = np.stack(
            [heights[:, owner == place] @ rates[owner == place] for place in range(len(channels))]
        ).T
        of_channel[:, 0] = 0.0
        caused = of_channel.sum(axis=1, keepdims=True)
        return np.where(caused > 0, of_channel / np.where(caused > 0, caused, 1.0), equal)

    before = shares(coefficients)
    for draw in range(4):
        moved = before * (counts[:, [draw]] - 1) + shares(draws[:, draw])
        expected = data.weights @ moved
        assert shared[1:, draw] == pytest.approx(expected[1:], rel=1e-9, abs=1e-9)


def test_std_errors_without_the_baseline_are_those_of_new_markets() -> None:
    fits = []
    for seed in range(20):
        events, _ = market(seed, {"a": 0.10, "b": 0.04, "c": 0.0}, people=2_000)
        fits.append(fit_hazard(counted(events), draws=100))
    spread = np.std([fit.of_touches[1:] for fit in fits], axis=0, ddof=1)
    errors = np.mean([fit.of_touches_std_error[1:] for fit in fits], axis=0)

    assert errors == pytest.approx(spread, rel=0.5)
    assert all(fit.of_touches[0] == fit.of_touches_std_error[0] == 0 for fit in fits)


def test_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(12):
        events, truth = market(seed, {"a": 0.10, "b": 0.04, "c": 0.0}, people=2_000)
        fit = fit_hazard(counted(events), draws=100)
        for channel, low, high in zip(fit.channels, fit.low, fit.high, strict=True):
            if channel != BASELINE:
                held.append(low <= truth[channel] <= high)

    assert np.mean(held) >= 0.85


# The repeat factor


UNEVEN = {"a": 0.15, "b": 0.08, "c": 0.0}


def test_the_repeat_factor_multiplies_touches_after_the_first_conversion() -> None:
    at_risk, after_it = Feature(BASELINE, 0, 0.0, True), Feature(BASELINE, 1, 0.0, True)
    data = PersonTime(
        features=(at_risk, after_it, Feature("a", 1, 8.0, False)),
        exposure=np.array([10.0, 4.0, 5.0]),
        values=sparse.csr_array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.25], [0.0, 1.0, 0.0]]),
        weights=np.ones(3),
        repeat_exposure=np.array([0.0, 4.0, 2.0]),
    )
    scaled = after_first_conversion(data, 3.0)

    assert scaled.exposure == pytest.approx([10.0, 4.0, 3.0 + 3.0 * 2.0])
    assert scaled.values.toarray() == pytest.approx(
        np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.75], [0.0, 1.0, 0.0]])
    )
    assert after_first_conversion(data, 1.0).values.toarray() == pytest.approx(
        data.values.toarray()
    )


@given(random_events(), st.floats(0.1, 10.0))
@settings(max_examples=25)
def test_no_repeat_factor_is_more_likely_than_the_one_found(events: Events, other: float) -> None:
    data = counted(events)
    best = maximize_likelihood(data.values, data.exposure, data.weights[:, None])
    factor, scaled, highest = fit_repeat_factor(data, best.coefficients[:, 0])
    rivals = [after_first_conversion(data, each) for each in (1.0, other)]
    found, *others = (
        float(
            maximize_likelihood(each.values, each.exposure, each.weights[:, None]).log_likelihood[0]
        )
        for each in (scaled, *rivals)
    )
    explained = scaled.exposure @ highest.coefficients[:, 0]

    assert 1 / LARGEST_REPEAT_FACTOR <= factor <= LARGEST_REPEAT_FACTOR
    assert found >= max(others) - 0.01
    assert highest.log_likelihood[0] == pytest.approx(found, abs=0.01)
    assert explained == pytest.approx(len(data.weights), rel=0.01, abs=1e-6)


def test_who_buys_more_readily_than_others_adds_nothing_to_the_baseline() -> None:
    """With a variance of 3, those who have converted do so at least four times as readily."""
    held, factors = [], []
    for seed in range(4):
        events, truth = market(seed, UNEVEN, base=0.003, variance=3.0)
        data = counted(events)
        fit = fit_hazard(data, draws=100)
        truth[BASELINE] = len(data.weights) - sum(truth.values())
        without = fit_hazard(replace(data, repeat_exposure=None), draws=100)
        for form in ("additive", "additive_ordinals"):
            assert fit.held_out[form] > without.held_out[form]
        assert without.conversions[0] - fit.conversions[0] > 0.05 * len(data.weights)
        factors.append(fit.repeat_factor)
        for channel, low, high in zip(fit.channels, fit.low, fit.high, strict=True):
            held.append(low <= truth[channel] <= high)

    assert np.mean(held) >= 0.85
    assert all(3 < factor < 8 for factor in factors)


def test_where_all_are_alike_there_is_no_repeat_factor() -> None:
    factors = []
    for seed in range(6):
        events, _ = market(seed, {"a": 0.10, "b": 0.05, "c": 0.0})
        factors.append(fit_hazard(counted(events), draws=2).repeat_factor)

    assert factors.count(1.0) >= 5


def test_std_errors_at_a_repeat_factor_are_those_of_refits_with_another() -> None:
    events, _ = market(1, UNEVEN, base=0.003, variance=3.0)
    data, into = merge_ordinals(counted(events))
    form = hazard._AdditiveForm.of(data, into)
    assert form.repeat_factor is not None
    _, (quick, _) = hazard._additive_totals(form, draws=1_000, seed=0)
    _, owner = channel_of(data.features)
    refits = []
    for counts in np.random.default_rng(1).standard_exponential((80, len(data.weights))):
        _, scaled, highest = fit_repeat_factor(
            replace(data, weights=counts), form.coefficients, form.repeat_factor
        )
        refits.append(np.bincount(owner, highest.coefficients[:, 0] * scaled.exposure))

    # The baseline, a and b; c is at the bound of 0, where errors are rough.
    assert quick[:3] == pytest.approx(np.std(refits, axis=0, ddof=1)[:3], rel=0.15)


def test_a_conversion_that_stands_for_many_says_no_more_of_the_repeat_factor() -> None:
    for variance in (0.0, 1.0):
        events, _ = market(3, UNEVEN, people=1_000, base=0.003, variance=variance)
        data = counted(events)
        assert data.repeat_exposure is not None
        many = replace(
            data,
            weights=50 * data.weights,
            exposure=50 * data.exposure,
            repeat_exposure=50 * data.repeat_exposure,
        )
        factor, factor_of_many = (fit_hazard(each, draws=2).repeat_factor for each in (data, many))

        assert factor_of_many == pytest.approx(factor, rel=0.02)


def test_the_repeat_factor_of_ordinals_is_their_own() -> None:
    events, _ = market(4, UNEVEN, base=0.003, variance=3.0)
    data = counted(events)
    fit = fit_hazard(data, draws=2)
    best = maximize_likelihood(data.values, data.exposure, data.weights[:, None])
    own, _, _ = fit_repeat_factor(data, best.coefficients[:, 0])

    assert fit.held_out["additive_ordinals"] > fit.held_out["additive"]
    assert fit.repeat_factor == pytest.approx(own, rel=0.02)


def test_held_out_conversions_pay_for_what_the_repeat_factor_knows_of_them() -> None:
    events, _ = market(1, UNEVEN, base=0.003, variance=3.0)
    data, into = merge_ordinals(counted(events))
    form = hazard._AdditiveForm.of(data, into)
    of_the_data = held_out_log_likelihood(form.data, form.coefficients)

    assert form.held_out(0) == pytest.approx(of_the_data - 1 / len(data.weights), abs=1e-12)


def test_shares_in_a_conversion_follow_from_coefficients_relative_to_the_factor() -> None:
    """The warehouse divides conversions by coefficients and heights alone, before and after."""
    events, _ = market(2, UNEVEN, base=0.003, variance=3.0)
    data = counted(events)
    fit = fit_hazard(data, draws=2)
    channels, owner = channel_of(data.features)
    parts = data.values.toarray() * fit.coefficients
    shares = parts / parts.sum(axis=1, keepdims=True)
    of_channel = [shares[:, owner == place].sum() for place in range(len(channels))]

    assert fit.repeat_factor > 1
    assert of_channel == pytest.approx(fit.conversions.tolist(), rel=1e-3, abs=0.1)


# The log link


def multiplicative(seed: int) -> PersonTime:
    """Hazard 0.002 exp(2 (1 - exp(-A)) + 1.5 (1 - exp(-B))), A and B fading with 8 days."""
    rng = np.random.default_rng(seed)
    features = (
        Feature(BASELINE, 0, 0.0, True),
        Feature("a", 1, 8.0, False),
        Feature("b", 1, 8.0, False),
    )
    adstock = rng.exponential(0.7, size=(40_000, 2)) * (rng.random((40_000, 2)) < 0.5)
    hazard = 0.02 * np.exp(-np.expm1(-adstock) @ np.array([2.0, 1.5]))
    # Every moment stands for one person-day.
    converted = rng.random(len(hazard)) < -np.expm1(-hazard)
    rows = np.column_stack([np.ones(len(hazard)), adstock])
    return PersonTime(
        features,
        rows.sum(axis=0),
        sparse.csr_array(rows[converted]),
        np.ones(int(converted.sum())),
        PersonTimeSample(sparse.csr_array(rows[::4]), np.full(10_000, 4.0)),
    )


def test_channels_that_always_touch_together_are_named() -> None:
    events, _ = market(3, {"a": 0.10, "b": 0.10}, people=500)
    # A touch of "echo" follows each of "b" within a second.
    of_b = np.array(events.touch_channel) == "b"
    echoed = events._replace(
        touch_person=np.concatenate([events.touch_person, events.touch_person[of_b]]),
        touch_day=np.concatenate([events.touch_day, events.touch_day[of_b] + 1 / 86_400]),
        touch_channel=[*events.touch_channel, *["echo"] * int(of_b.sum())],
    )

    assert hazard.alike(counted(events)) == {}
    data = counted(echoed)
    assert hazard.alike(data) == {("b", "echo"): pytest.approx(1.0, abs=1e-6)}
    assert hazard.alike(counted(echoed, ("b",))) == {}
    # By few conversions most channels are alike.
    few = hazard.FEWEST_ALIKE - 1
    few_data = replace(data, values=sparse.csr_array(data.values[:few]), weights=np.ones(few))
    assert hazard.alike(few_data) == {}


@pytest.mark.parametrize("link", ["additive", "log"])
def test_conversions_of_one_person_are_one_draw(link: str) -> None:
    if link == "log":
        data = multiplicative(2)
    else:
        data = counted(market(2, {"a": 0.10, "b": 0.04}, people=1_000)[0])
    # Orders of three lines each are as uncertain as orders that stand for three.
    rows = np.repeat(np.arange(len(data.weights)), 3)
    lines = replace(
        data, values=sparse.csr_array(data.values[rows]), weights=data.weights[rows], persons=rows
    )
    fit, expected = fit_hazard(lines), fit_hazard(replace(data, weights=3 * data.weights))

    assert fit.is_log == expected.is_log == (link == "log")
    assert fit.conversions == pytest.approx(expected.conversions, rel=1e-3)
    assert fit.std_error == pytest.approx(expected.std_error, rel=1e-3, abs=1e-6)
    assert fit.of_touches_std_error == pytest.approx(
        expected.of_touches_std_error, rel=1e-3, abs=1e-6
    )
    alone = fit_hazard(replace(lines, persons=None))
    assert np.all(alone.std_error[1:] < 0.8 * fit.std_error[1:])


def test_one_conversion_chooses_no_log_link() -> None:
    data = multiplicative(3)
    one = replace(data, values=sparse.csr_array(data.values[:1]), weights=np.ones(1))

    assert not fit_hazard(one).is_log


def test_validation_finds_the_log_link_and_its_coefficients() -> None:
    fit = fit_hazard(multiplicative(1))

    assert fit.is_log
    assert fit.coefficients[1:] == pytest.approx([2.0, 1.5], abs=0.25)
    assert np.exp(fit.coefficients[0]) == pytest.approx(0.02, rel=0.15)
    assert fit.conversions.sum() == pytest.approx(len(multiplicative(1).weights))


def test_the_log_link_has_a_repeat_factor_of_its_own() -> None:
    """Every third moment is after the person's first conversion, with three times the hazard."""
    rng = np.random.default_rng(5)
    adstock = rng.exponential(0.7, size=30_000) * (rng.random(30_000) < 0.5)
    is_repeat = np.arange(30_000) % 3 == 0
    hazard = 0.01 * np.exp(-2 * np.expm1(-adstock)) * np.where(is_repeat, 3.0, 1.0)
    converted = rng.random(30_000) < -np.expm1(-hazard)
    rows = np.column_stack([~is_repeat, is_repeat, adstock])
    data = PersonTime(
        (
            Feature(BASELINE, 0, 0.0, True),
            Feature(BASELINE, 1, 0.0, True),
            Feature("a", 1, 8.0, False),
        ),
        rows.sum(axis=0),
        sparse.csr_array(rows[converted]),
        np.ones(int(converted.sum())),
        PersonTimeSample(sparse.csr_array(rows[::2]), np.full(15_000, 2.0)),
        repeat_exposure=rows[is_repeat].sum(axis=0),
    )
    fit = fit_hazard(data, draws=2)

    assert fit.is_log
    assert fit.repeat_factor == pytest.approx(3.0, rel=0.2)


def test_validation_keeps_the_additive_link_where_effects_add_up() -> None:
    events, _ = market(1, {"a": 0.30, "b": 0.20}, people=6_000)
    # One moment of every person, without the columns that tell first conversions from repeats.
    moments = np.random.default_rng(0).random(6_000) * END
    data = counted(events)
    kept = [i for i, feature in enumerate(data.features) if feature[:2] != (BASELINE, 1)]
    points = count_person_time(*events[:3], np.arange(6_000), moments, END, uses_up=False)
    at_risk = data.exposure[-2:].sum()
    exposure = np.append(data.exposure[:-2], at_risk)
    values = data.values.tolil()
    values[:, [-2]] = np.ones((values.shape[0], 1))
    data = PersonTime(
        tuple(data.features[i] for i in kept),
        exposure,
        sparse.csr_array(values.tocsr()[:, kept]),
        data.weights,
        PersonTimeSample(
            sparse.csr_array(points.values[:, kept]),
            np.full(len(points.weights), at_risk / len(points.weights)),
        ),
    )
    fit = fit_hazard(data)

    assert "log" in fit.held_out
    assert not fit.is_log


def test_conversions_at_the_instant_of_their_touch_leave_the_additive_link() -> None:
    data = multiplicative(1)
    # No sampled moment lies as near to a touch as every conversion does.
    rows = np.column_stack([np.ones(500), np.full(500, 2.0), np.zeros(500)])
    assert data.points is not None
    later = data.points.values.multiply(np.array([1.0, 0.1, 1.0])).tocsr()
    fit = fit_hazard(
        PersonTime(
            data.features,
            data.exposure,
            sparse.csr_array(rows),
            np.ones(500),
            PersonTimeSample(sparse.csr_array(later), data.points.weights),
        )
    )

    assert fit.held_out["log"] > max(fit.held_out["additive"], np.log(86_400))
    assert not fit.is_log
    assert fit.conversions.sum() == pytest.approx(500)


def test_std_errors_of_the_log_link_are_those_of_new_draws() -> None:
    fits = [fit_hazard(multiplicative(seed)) for seed in range(12)]
    spread = np.std([fit.conversions[1:] for fit in fits], axis=0, ddof=1)
    errors = np.mean([fit.std_error[1:] for fit in fits], axis=0)
    assert errors / STD_ERROR_FACTOR == pytest.approx(spread, rel=0.6)

    spread = np.std([fit.of_touches[1:] for fit in fits], axis=0, ddof=1)
    errors = np.mean([fit.of_touches_std_error[1:] for fit in fits], axis=0)
    assert errors / STD_ERROR_FACTOR == pytest.approx(spread, rel=0.6)


def test_a_channel_without_effect_under_the_log_link_has_an_error_all_the_same() -> None:
    """Whether chance puts it above 0 or below: below, it is 0 and its interval begins there."""
    rng = np.random.default_rng(3)
    errors, totals = [], []
    for seed in range(12):
        data = multiplicative(seed)
        assert data.points is not None
        idle = Feature("idle", 1, 8.0, False)
        touches, of_points = (
            np.where(rng.random((n, 1)) < 0.5, rng.exponential(0.7, (n, 1)), 0.0)
            for n in (len(data.weights), len(data.points.weights))
        )
        fit = fit_hazard(
            PersonTime(
                (*data.features, idle),
                np.append(data.exposure, 4 * of_points.sum()),
                sparse.csr_array(sparse.hstack([data.values, touches])),
                data.weights,
                PersonTimeSample(
                    sparse.csr_array(sparse.hstack([data.points.values, of_points])),
                    data.points.weights,
                ),
            ),
            draws=2,
        )
        assert fit.is_log
        place = fit.channels.index("idle")
        totals.append(fit.conversions[place])
        errors.append(fit.std_error[place])

    assert sum(total < 1 for total in totals) >= 3
    # Half of the totals are 0: their spread is that of a normal number cut off there.
    assert np.min(errors) > 0.5 * np.max(errors)
    assert np.std(totals) < np.mean(errors) < 5 * np.std(totals)


# Tables


def tables(data: PersonTime, conversion_type: str = "purchase") -> tuple[pa.Table, pa.Table]:
    exposure = pa.Table.from_pylist(
        [
            {
                "conversion_type": conversion_type,
                **feature._asdict(),
                "exposure": value,
                "repeat_exposure": repeated,
            }
            for feature, value, repeated in zip(
                data.features,
                data.exposure,
                np.zeros(len(data.features))
                if data.repeat_exposure is None
                else data.repeat_exposure,
                strict=True,
            )
        ]
    )
    rows, columns = data.values.nonzero()
    present: dict[tuple[int, str, int], dict[str, object]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        feature = data.features[column]
        cells = present.setdefault(
            (row, feature.channel, feature.ordinal),
            {f"left_{of.decay_days}": None for of in data.features if of.decay_days},
        )
        if feature.decay_days:
            cells[f"left_{feature.decay_days}"] = data.values[row, column]
    events = pa.Table.from_pylist(
        [
            {
                "conversion_type": conversion_type,
                "source": "s",
                "moment_id": f"c{row:06}",
                "channel": channel,
                "ordinal": ordinal,
                "weight": data.weights[row] if channel == BASELINE else None,
                **cells,
            }
            for (row, channel, ordinal), cells in present.items()
        ]
    )
    return exposure, events


def test_tables_are_read_in_any_order() -> None:
    events, _ = market(4, {"a": 0.10}, people=300)
    data = counted(events)
    exposure_table, event_table = tables(data)
    order = np.random.default_rng(0).permutation(len(event_table))
    read = read_person_time(exposure_table, event_table.take(order))["purchase"]
    place = [read.features.index(feature) for feature in data.features]

    assert read.exposure[place] == pytest.approx(data.exposure)
    assert read.repeat_exposure is not None
    assert read.repeat_exposure[place] == pytest.approx(data.repeat_exposure)
    assert read.values[:, place].toarray() == pytest.approx(data.values.toarray())


def test_points_show_each_conversion_type_its_own_features() -> None:
    """Two types share point 1 and its touch; point 2, with a touch of b, is seen by calls alone."""
    features = (
        Feature(BASELINE, 0, 0.0, True),
        Feature(BASELINE, 1, 0.0, True),
        Feature("a", 1, 2.0, False),
        Feature("b", 1, 2.0, False),
    )
    nothing = sparse.csr_array((0, len(features)))
    calls = tables(PersonTime(features, np.ones(4), nothing, np.ones(0)), "call")[0]
    bought = sparse.csr_array([[1.0, 0.0, 0.25]])
    purchases, events = tables(PersonTime(features[:3], np.ones(3), bought, np.ones(1)))
    points = pa.table(
        {
            "conversion_type": ["purchase", "call", "call"],
            "point_key": [1, 2, 1],
            "is_repeat": [False, False, True],
        }
    )
    point_touches = pa.table(
        {
            "point_key": [2, 1, 1, 2],
            "channel": ["b", BASELINE, "a", BASELINE],
            "ordinal": [1, 0, 1, 0],
            "left_2": [0.75, None, 0.5, None],
            "weight": [None, 3.0, None, 4.0],
        }
    )
    exposure = pa.concat_tables([purchases, calls])
    read = read_person_time(exposure, events, points, point_touches)
    samples = {name: data.points for name, data in read.items()}

    assert samples["call"] is not None
    np.testing.assert_array_equal(
        samples["call"].values.toarray(), [[0, 1, 0.5, 0], [1, 0, 0, 0.75]]
    )
    np.testing.assert_array_equal(samples["call"].weights, [3, 4])
    assert samples["purchase"] is not None
    np.testing.assert_array_equal(samples["purchase"].values.toarray(), [[1, 0, 0.5]])

    for lost in ("a", BASELINE):
        without = exposure.filter(
            pc.invert(
                pc.and_(pc.equal(exposure["channel"], lost), pc.equal(exposure["ordinal"], 1))
            )
        )
        with pytest.raises(ValueError, match="has a feature without exposure"):
            read_person_time(without, events.slice(0, 0), points, point_touches)


def test_results_are_a_long_table_that_adds_up() -> None:
    events, _ = market(4, {"a": 0.10}, people=300)
    data = counted(events)
    results = attribute_person_time(*tables(data))
    kinds = {
        kind: [row for row in results.to_pylist() if row["kind"] == kind]
        for kind in ("channel_total", "coefficient", "diagnostic")
    }

    assert results.schema == RESULTS
    assert sum(row["value"] for row in kinds["channel_total"]) == pytest.approx(len(data.weights))
    assert len(kinds["coefficient"]) == len(data.features)
    diagnostics = {row["name"]: row["value"] for row in kinds["diagnostic"]}
    assert diagnostics["is_log_link"] == 0
    assert diagnostics["repeat_factor"] > 0


def test_nothing_gives_nothing() -> None:
    events, _ = market(4, {"a": 0.10}, people=300)
    exposure_table, event_table = tables(counted(events))
    empty = attribute_person_time(exposure_table.slice(0, 0), event_table.slice(0, 0))
    without = attribute_person_time(exposure_table, event_table.slice(0, 0))

    assert len(empty) == 0
    assert {row["value"] for row in without.to_pylist() if row["kind"] == "channel_total"} == {0.0}


def test_a_feature_without_exposure_is_an_error() -> None:
    events, _ = market(4, {"a": 0.10}, people=300)
    exposure_table, event_table = tables(counted(events))
    with pytest.raises(ValueError, match="without exposure"):
        read_person_time(exposure_table.slice(1), event_table)


def test_a_moment_that_is_not_at_risk_is_an_error() -> None:
    events, _ = market(4, {"a": 0.10}, people=300)
    exposure_table, event_table = tables(counted(events))
    touched = event_table.filter(pc.not_equal(event_table["channel"], BASELINE))
    with pytest.raises(ValueError, match="no baseline row"):
        read_person_time(exposure_table, touched)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("exposure", np.array([-1.0]), "exposure must be finite and at least 0"),
        ("weights", np.array([np.nan]), "weights must be finite and at least 0"),
        ("values", sparse.csr_array([[-1.0]]), "feature of a conversion must be finite"),
        ("exposure", np.array([1.0, 2.0]), "do not fit together"),
        ("repeat_exposure", np.array([1.5]), "must be a part of the exposure"),
        ("repeat_exposure", np.array([np.nan]), "must be a part of the exposure"),
        ("repeat_exposure", np.array([0.5, 0.5]), "must be a part of the exposure"),
    ],
)
def test_wrong_numbers_are_errors(field: str, value: object, message: str) -> None:
    fields: dict[str, object] = {
        "features": (Feature(BASELINE, 0, 0.0, True),),
        "exposure": np.ones(1),
        "values": sparse.csr_array([[1.0]]),
        "weights": np.ones(1),
    }
    with pytest.raises(ValueError, match=message):
        PersonTime(**{**fields, field: value})  # type: ignore[arg-type]


def test_too_few_draws_are_an_error(small_market: tuple[PersonTime, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        fit_hazard(small_market[0], draws=1)

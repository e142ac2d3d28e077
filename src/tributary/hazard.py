"""Person-time hazard with a baseline: how much sooner did people convert thanks to a channel.

While a person is at risk, the hazard of converting is the sum of a baseline and of what every
earlier touch adds, which fades:

    lambda_i(t) = a + sum over touches j before t, sum over decays m of
                  b[channel_j, ordinal_j, m] * exp(-(t - t_j) / m),   all coefficients >= 0.

One feature is one combination of channel, ordinal (how often the channel had touched the person:
1, 2, 3 and more) and decay. With x the features of a person at a time, the log likelihood
sum over conversions of log(x'b) - b'T needs the features at the conversions and, of everybody
else, only the exposure T of each feature: its total over all person-time.

Some features are baseline: being at risk, direct visits, and of every channel a part that fades
slowly. People who are often touched are often the interested ones, who would convert anyway; that
shows as a rate that stays high long after the touch, while what the touch itself causes fades.

Some buy far more readily than others, whatever touches them; who has bought once is one of these.
So what touches bring about may be multiplied by one number, the repeat factor, after a person's
first conversion, where that is likelier.

Where channels multiply each other's effect, the hazard has a log link instead
(`tributary.log_hazard`); held-out conversions decide.

Source of the method: additive (Hawkes-like) intensities in attribution after Zhang, Wei, Ren
(2014); EM for mixtures of non-negative rates after Shepp and Vardi (1982); acceleration SQUAREM by
Varadhan and Roland (2008); block principal pivoting by Portugal, Judice and Vicente (1994);
validation by thinning a Poisson process; a rate that changes with the event after Andersen and Gill
(1982), Peña (2006) (see docs/methods/hazard.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tributary.gram import gram_matrix
from tributary.log_hazard import LogFit, fit_log_link, saturated, shapley_shares
from tributary.threads import one_thread

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BASELINE = "(baseline)"
"""Name of the channel that holds what no channel caused."""

LOG_DECAY_DAYS = (2.0, 8.0)
"""Mean lives, in days, that the log link takes of those that there are of effects: further ones
made channels no more accurate (docs/decisions/0020-three-decays.md)."""

STD_ERROR_FACTOR = 1.1
"""Widens standard errors: refits from the same features are a little too much alike."""

ALIKE = 0.995
"""Cosine of two channels at the conversions from which on their effects cannot be told apart."""

FEWEST_ALIKE = 30
"""Conversions with a touch of a channel, below which it is like many others by chance."""

TINY = float(np.finfo(np.float64).tiny)
"""The smallest number of full precision: what 0 is, where a logarithm or a quotient is needed."""

LOWEST_HAZARD = 1e-100
"""Conversions per person-day: less than this is no hazard, and would have no reciprocal."""

LEAST_CREDIT = 1e-9
"""Conversions: a feature that brought about less of them in all has brought about nothing."""

NORMAL_97_5 = 1.959963984540054

RESPONDING_CONVERSIONS = 5_000
"""Conversions whose shares are computed for every draw of the coefficients, at most."""

FOLDS = 4
"""Parts that conversions are dealt into for validation."""

NEWTON_EVERY = 4
"""After so many accelerated steps of expectation-maximization, a Newton step is tried; while that
brings the maximum no nearer, after twice as many each time."""

FEATURES_PER_BLOCK = 32
"""Coordinate descent goes over so many features before it tells all others."""

PIVOTS_IN_VAIN = 8
"""After so many pivots that leave no fewer features on the wrong side, a quadratic is given up."""

LARGEST_REPEAT_FACTOR = 20.0
"""Touches bring about at most so many times as much after the first conversion as before it, and
at least so small a part of it."""

REPEAT_FACTOR_PRECISION = 0.01
"""A repeat factor is found when it would move by less than this part of itself."""

LAST_STEP = 0.05
"""A whole step to the repeat factor that is a smaller part of it ends within
`REPEAT_FACTOR_PRECISION`: each misses by a tenth of its length."""

REPEAT_FACTOR_GAIN = 1.92
"""By so much a repeat factor must raise the log likelihood: where there is none, it does so in one
of twenty sets of data."""

MOST_LOG_COLUMNS = 201
"""The log link is tried with up to 100 channels, which have two decays each, beside whether the
person has converted: it needs a dense design."""

MOST_HELD_OUT_LOG_LINK = float(np.log(86_400))
"""The log link is not used where it fits better than one conversion a second could be: it
has learnt single instants."""


class Feature(NamedTuple):
    """What adds to the hazard.

    Attributes
    ----------
    channel
        The channel touched, or `BASELINE` for being at risk.
    ordinal
        1, 2, 3: the first, second, third or later touch of the channel. Of `BASELINE`: 0 before
        the person's first conversion, 1 after it.
    decay_days
        Mean life in days; 0 for what does not fade.
    is_baseline
        Whether it counts as baseline.
    """

    channel: str
    ordinal: int
    decay_days: float
    is_baseline: bool

    @property
    def is_touch(self) -> bool:
        """Whether it is a touch, and not being at risk."""
        return self.channel != BASELINE

    @property
    def is_at_risk_again(self) -> bool:
        """Whether it is being at risk after the person's first conversion."""
        return self.channel == BASELINE and self.ordinal > 0


@dataclass(frozen=True)
class PersonTimeSample:
    """Moments of people at risk that stand for all person-time.

    Attributes
    ----------
    values
        Sparse, shape (q, p): the features at each moment, at least 0.
    weights
        Shape (q,): person-days each moment stands for, at least 0.
    """

    values: sparse.csr_array
    weights: FloatArray


@dataclass(frozen=True)
class PersonTime:
    """All that the additive model needs to know, of n conversions and p features.

    Attributes
    ----------
    features
        The p features, sorted.
    exposure
        Shape (p,): total of each feature over all person-time at risk, in person-days.
    values
        Sparse, shape (n, p): the features at each conversion, at least 0.
    weights
        Shape (n,): how many conversions each row stands for, at least 0.
    points
        A sample of person-time for the log link, or None.
    persons
        Shape (n,): whose conversion each row is, as numbers from 0; None where each is of another
        person. Conversions of one person happen together more often than by chance.
    repeat_exposure
        Shape (p,): how much of the exposure is after the person's first conversion, in person-days;
        0 where nobody converts twice, and None where it is not known.
    """

    features: tuple[Feature, ...]
    exposure: FloatArray
    values: sparse.csr_array
    weights: FloatArray
    points: "PersonTimeSample | None" = None
    persons: IntArray | None = None
    repeat_exposure: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises
        ------
        ValueError
            If shapes do not fit or a number is out of its range.
        """
        n, p = self.values.shape
        if self.exposure.shape != (p,) or len(self.features) != p or self.weights.shape != (n,):
            raise ValueError(
                f"{len(self.features)} features, {self.exposure.shape} exposures, "
                f"{self.weights.shape} weights and values of shape {(n, p)} do not fit together."
            )
        for name, numbers in (("exposure", self.exposure), ("weights", self.weights)):
            if not np.all(np.isfinite(numbers) & (numbers >= 0)):
                raise ValueError(f"Every number of {name} must be finite and at least 0.")
        if not np.all(np.isfinite(self.values.data) & (self.values.data >= 0)):
            raise ValueError("Every feature of a conversion must be finite and at least 0.")
        if self.persons is not None and self.persons.shape != (n,):
            raise ValueError(f"Persons of shape {self.persons.shape} do not fit {n} conversions.")
        repeated = self.repeat_exposure
        if repeated is not None and (
            repeated.shape != (p,)
            or not np.all((repeated >= 0) & (repeated <= self.exposure * (1 + 1e-9)))
        ):
            raise ValueError("Exposure after the first conversion must be a part of the exposure.")

    def of_persons(self, amounts: FloatArray) -> FloatArray:
        """Add up amounts of conversions, of shape (n, k), per person."""
        if self.persons is None:
            return amounts
        rows = np.arange(len(self.persons))
        adding = sparse.csr_array((np.ones(len(rows)), (self.persons, rows)))
        return np.asarray(adding @ amounts)


@dataclass(frozen=True)
class Maximum:
    """Where the likelihood is highest, for k sets of weights at once.

    Attributes
    ----------
    coefficients
        Shape (p, k): conversions per person-day and unit of each feature, at least 0.
    log_likelihood
        Shape (k,).
    history
        Shape (steps, k): the log likelihood after each accelerated step; it never falls.
    gap
        Shape (k,): an upper bound of how far the log likelihood is below its maximum.
    """

    coefficients: FloatArray
    log_likelihood: FloatArray
    history: FloatArray
    gap: FloatArray


def maximize_likelihood(
    values: sparse.csr_array,
    exposure: FloatArray,
    weights: FloatArray,
    start: FloatArray | None = None,
    tolerance: float = 1e-3,
    max_steps: int = 2_000,
) -> Maximum:
    """Fit non-negative rates by expectation-maximization, for several sets of weights at once.

    Each step shares every conversion among its features in proportion to b x and divides by the
    exposure: b <- b * [sum over conversions of w x / (x'b)] / T. The likelihood never falls. Two
    steps and a squared extrapolation (SQUAREM) make one accelerated step, which is kept only where
    it is no worse than the two alone. Near the maximum these steps get short; there the maximum of
    the quadratic that touches the likelihood is tried, and kept only where it is higher. The
    likelihood is concave, so the maximum is the maximum.

    Parameters
    ----------
    values
        Sparse, shape (n, p): features of the conversions, at least 0.
    exposure
        Shape (p,): person-days, at least 0. A feature without exposure gets the coefficient 0.
    weights
        Shape (n, k): weights of the conversions, at least 0, one column per fit.
    start
        Shape (p, k): where to begin, near the maximum: there the quadratic is tried at once. By
        default all features explain the same number of conversions.
    tolerance
        Stop when no log likelihood can rise by more than this.
    max_steps
        Stop after so many accelerated steps.

    Returns
    -------
    Maximum
        O(steps x nonzero values x k) time. A conversion none of whose features has exposure
        cannot be explained and is left out.
    """
    usable = exposure > 0
    per_exposure = np.where(usable, 1 / np.where(usable, exposure, 1.0), 0.0)[:, None]
    weights = weights * ((values @ usable.astype(np.float64)) > 0)[:, None]
    count = weights.sum(axis=0)
    transposed = values.T.tocsr()
    wait = NEWTON_EVERY if start is None else 1
    if start is None:
        start = np.repeat(per_exposure / max(usable.sum(), 1), weights.shape[1], axis=1) * count
    coefficients = np.where(usable[:, None], start, 0.0)

    def log_likelihood(hazard: FloatArray, rates: FloatArray) -> FloatArray:
        # A conversion without any hazard is as unlikely as can be.
        log_hazard = np.log(np.where(hazard > LOWEST_HAZARD, hazard, TINY))
        return np.asarray((weights * log_hazard).sum(axis=0) - exposure @ rates)

    def step(rates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        hazard = values @ rates
        ratio = (transposed @ (weights * _per_hazard(hazard))) * per_exposure
        return rates * ratio, ratio, log_likelihood(hazard, rates)

    history = []
    gap = gap_of_try = np.full(weights.shape[1], np.inf)
    next_try = wait
    for _ in range(max_steps):
        once, ratio, height = step(coefficients)
        history.append(height)
        # b'T can be at most the number of conversions, so by concavity no other b is higher by
        # more than conversions x (largest ratio - 1), once b'T is that number.
        gap = np.maximum(count * (ratio.max(axis=0, initial=0.0) - 1), 0.0)
        if len(history) > 1 and np.all(gap <= tolerance):
            break
        twice, _, height_once = step(once)
        change = (once - coefficients) * exposure[:, None]
        bend = (twice - once) * exposure[:, None] - change
        length = np.sqrt((change**2).sum(axis=0))
        bend_length = np.sqrt((bend**2).sum(axis=0))
        ahead = np.maximum(
            np.divide(length, bend_length, out=np.ones_like(length), where=bend_length > 0), 1.0
        )
        leap = coefficients + (2 * ahead * change + ahead**2 * bend) * per_exposure
        leap = np.maximum(leap, twice * 1e-3)
        landed, _, height_leap = step(leap)
        coefficients = np.where(height_leap >= height_once, landed, twice)
        if len(history) == next_try:
            # Where many features explain few conversions the quadratic is no guide.
            wait = wait if np.all((gap <= gap_of_try / 2) | (gap <= tolerance)) else 2 * wait
            next_try += wait
            gap_of_try = gap
            tried = coefficients.copy()
            for fit in np.flatnonzero(gap > tolerance):
                quadratic = _Quadratic.at(values, exposure, weights[:, fit], coefficients[:, fit])
                tried[:, fit] = quadratic.peak()
                # Along its ray the likelihood is highest where it explains all conversions.
                explained = exposure @ tried[:, fit]
                tried[:, fit] *= count[fit] / explained if explained > 0 else 0.0
            _, _, height = step(coefficients)
            _, _, height_tried = step(tried)
            coefficients = np.where(height_tried > height, tried, coefficients)
    return Maximum(coefficients, history[-1], np.array(history), gap)


def _per_hazard(hazard: FloatArray) -> FloatArray:
    """One over each hazard; 0 where there is none."""
    return np.divide(1.0, hazard, out=np.zeros_like(hazard), where=hazard > LOWEST_HAZARD)


@dataclass(frozen=True)
class _Quadratic:
    """The quadratic that touches the log likelihood, in credits: coefficient x exposure.

    Attributes
    ----------
    exposure
        Shape (p,), of all features.
    used
        Shape (r,): places of the features that are present and have exposure.
    scaled
        Sparse, shape (n, r): slope of each conversion's log hazard; 0 where there is no hazard.
    place
        Shape (r,): credited conversions where they touch.
    slope
        Shape (r,): slope of the log likelihood there.
    curvature
        Shape (r, r): its negative second derivatives.
    """

    exposure: FloatArray
    used: IntArray
    scaled: sparse.csr_array
    place: FloatArray
    slope: FloatArray
    curvature: FloatArray

    @classmethod
    def at(
        cls,
        values: sparse.csr_array,
        exposure: FloatArray,
        weights: FloatArray,
        coefficients: FloatArray,
        hazard: FloatArray | None = None,
    ) -> "_Quadratic":
        """Work it out for the weights, shape (n,), at coefficients of shape (p,).

        The hazard, shape (n,), is that of the coefficients where no other is given.
        """
        hazard = values @ coefficients if hazard is None else hazard
        used = np.flatnonzero((exposure > 0) & (values.sum(axis=0) > 0))
        scaled = sparse.csr_array(values[:, used])
        scaled.data *= np.repeat(_per_hazard(hazard), np.diff(scaled.indptr))
        scaled.data /= exposure[used][scaled.indices]
        return cls(
            exposure=exposure,
            used=used,
            scaled=scaled,
            place=(coefficients * exposure)[used],
            slope=scaled.T @ weights - 1.0,
            curvature=gram_matrix(scaled, weights),
        )

    def peak(self, pivots: int = 50) -> FloatArray:
        """Coefficients, at least 0, where it is highest, shape (p,).

        Block principal pivoting after Portugal, Judice and Vicente (1994): the features inside
        are free and the others 0; those on the wrong side change sides, all at once. That ends
        after a few pivots, nearly always; where they get no fewer, what is found is near the peak.
        """
        scale = np.sqrt(self.curvature.diagonal())
        scale[scale == 0] = 1.0
        # Features that cannot be told apart must not make the curvature singular.
        curvature = self.curvature / scale / scale[:, None] + 1e-10 * np.eye(len(scale))
        pull = curvature @ (self.place * scale) + self.slope / scale
        inside = self.place > 0
        fewest, in_vain = len(inside) + 1, 0
        for _ in range(pivots):
            found = np.zeros(len(scale))
            found[inside] = np.linalg.solve(curvature[np.ix_(inside, inside)], pull[inside])
            is_wrong = np.where(inside, found < 0, pull - curvature @ found > 1e-9)
            wrong = int(is_wrong.sum())
            in_vain = 0 if wrong < fewest else in_vain + 1
            fewest = min(fewest, wrong)
            if not wrong or in_vain == PIVOTS_IN_VAIN:
                break
            inside ^= is_wrong
        coefficients = np.zeros(len(self.exposure))
        coefficients[self.used] = np.maximum(found, 0.0) / scale / self.exposure[self.used]
        return coefficients

    def maximum(self, slopes: FloatArray, sweeps: int = 100, tolerance: float = 0.0) -> FloatArray:
        """Coefficients, at least 0, where it is highest for other slopes at the same place.

        Parameters
        ----------
        slopes
            Shape (r, k).
        sweeps
            At most so many passes of coordinate descent.
        tolerance
            Stop when a pass moves no credit by more than this.

        Returns
        -------
        numpy.ndarray
            Shape (p, k).
        """
        slopes = slopes.copy()
        (moving,) = np.nonzero(self.curvature.diagonal() > 0)
        credited = np.repeat(self.place[:, None], slopes.shape[1], axis=1)
        for _ in range(sweeps):
            largest = 0.0
            for start in range(0, len(moving), FEATURES_PER_BLOCK):
                # Features of a block see each other's steps at once, and all others see them after
                # the block: the same passes, with products of arrays in place of many small ones.
                block = moving[start : start + FEATURES_PER_BLOCK]
                within = self.curvature[np.ix_(block, block)]
                slope, before = slopes[block], credited[block]
                after = before.copy()
                for row, curvature in enumerate(within):
                    after[row] = np.maximum(before[row] + slope[row] / curvature[row], 0.0)
                    slope -= curvature[:, None] * (after[row] - before[row])
                steps = after - before
                credited[block] = after
                slopes -= self.curvature[:, block] @ steps
                largest = max(largest, float(np.abs(steps).max(initial=0.0)))
            if largest <= tolerance:
                break
        coefficients = np.zeros((len(self.exposure), slopes.shape[1]))
        coefficients[self.used] = credited / self.exposure[self.used, None]
        return coefficients


def merge_ordinals(data: PersonTime) -> tuple[PersonTime, IntArray]:
    """Let every touch of a channel count alike: fewer features, steadier estimates.

    Returns
    -------
    PersonTime
        The same conversions, with the exposure and values of a channel's ordinals added up.
    numpy.ndarray
        Shape (p,): which of the merged features each of the former ones went into.
    """
    merged = [
        feature if feature.channel == BASELINE else feature._replace(ordinal=1)
        for feature in data.features
    ]
    features = tuple(sorted(set(merged)))
    place = {feature: index for index, feature in enumerate(features)}
    into = np.array([place[feature] for feature in merged], dtype=np.int64)
    adding = sparse.csr_array(
        (np.ones(len(into)), (np.arange(len(into)), into)), shape=(len(into), len(features))
    )
    repeated = data.repeat_exposure
    merged_data = PersonTime(
        features=features,
        exposure=data.exposure @ adding,
        values=sparse.csr_array(data.values @ adding),
        weights=data.weights,
        persons=data.persons,
        repeat_exposure=None if repeated is None else repeated @ adding,
    )
    return merged_data, into


def after_first_conversion(data: PersonTime, repeat_factor: float) -> PersonTime:
    """Let the same touch bring about so many times as much after a person's first conversion.

    Being at risk has a rate of its own there anyway.

    Parameters
    ----------
    data
        Conversions and person-time.
    repeat_factor
        Above 0; 1 leaves all as it is.

    Returns
    -------
    PersonTime
        The same conversions, whose touches have that multiple of their height where the conversion
        is not the person's first, and of their exposure after it.
    """
    if data.repeat_exposure is None:
        return data
    is_touch, is_repeat = _touches_and_repeats(data)
    values = data.values.copy()
    rows = np.repeat(is_repeat, np.diff(values.indptr))
    values.data[rows & is_touch[values.indices]] *= repeat_factor
    scaled = np.where(is_touch, repeat_factor, 1.0) * data.repeat_exposure
    return replace(
        data,
        exposure=data.exposure - data.repeat_exposure + scaled,
        values=values,
        repeat_exposure=scaled,
    )


def _touches_and_repeats(data: PersonTime) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which features are touches, and which conversions are not the person's first."""
    is_touch = np.array([feature.is_touch for feature in data.features], dtype=np.bool_)
    is_again = np.array([feature.is_at_risk_again for feature in data.features], dtype=np.float64)
    return is_touch, data.values @ is_again > 0


def fit_repeat_factor(
    data: PersonTime, coefficients: FloatArray, start: float = 1.0
) -> tuple[float, PersonTime, Maximum]:
    """Find the repeat factor where the likelihood is highest, the nearest such place to the start.

    Of the factor and all coefficients together the quadratic that touches the likelihood says how
    far to go; where the likelihood is no higher there, half as far is tried.

    Parameters
    ----------
    data
        Conversions and person-time.
    coefficients
        Shape (p,): about where the likelihood is highest for the factor to start with.
    start
        That factor.

    Returns
    -------
    float
        The factor: from 1 / `LARGEST_REPEAT_FACTOR` to `LARGEST_REPEAT_FACTOR`.
    PersonTime
        The data `after_first_conversion`.
    Maximum
        Where the likelihood of these is highest.
    """

    def fitted(factor: float, near: FloatArray) -> tuple[PersonTime, Maximum]:
        scaled = after_first_conversion(data, factor)
        weights = scaled.weights[:, None]
        return scaled, maximize_likelihood(scaled.values, scaled.exposure, weights, near)

    def step_from(scaled: PersonTime, rates: FloatArray) -> float:
        peak = _quadratic_with_repeat_factor(scaled, rates).peak()
        return float(np.clip(np.log(max(peak[-1], TINY)), -1.0, 1.0))

    factor = start
    scaled, best = fitted(factor, coefficients[:, None])
    step, is_whole = step_from(scaled, best.coefficients[:, 0]), True
    while abs(step) >= REPEAT_FACTOR_PRECISION:
        further = float(
            np.clip(factor * np.exp(step), 1 / LARGEST_REPEAT_FACTOR, LARGEST_REPEAT_FACTOR)
        )
        if further == factor:
            break
        tried, maximum = fitted(further, best.coefficients)
        # Each fit ends within a thousandth of its maximum: less is no rise.
        if maximum.log_likelihood[0] > best.log_likelihood[0] + 1e-3:
            factor, scaled, best = further, tried, maximum
            if is_whole and abs(step) < LAST_STEP:
                break
            step, is_whole = step_from(scaled, best.coefficients[:, 0]), True
        else:
            step, is_whole = step / 2, False
    return factor, scaled, best


def _quadratic_with_repeat_factor(data: PersonTime, coefficients: FloatArray) -> _Quadratic:
    """Touch the log likelihood of data `after_first_conversion` with a quadratic.

    The last feature is the repeat factor over that of the data: the coefficient, 1 here, of all
    that touches bring about after the first conversion.
    """
    is_touch, is_repeat = _touches_and_repeats(data)
    of_touches = np.where(is_touch, coefficients, 0.0)
    hazard = data.values @ coefficients
    brought_about = sparse.csr_array((is_repeat * (data.values @ of_touches))[:, None])
    after_it = 0.0 if data.repeat_exposure is None else data.repeat_exposure @ of_touches
    return _Quadratic.at(
        sparse.csr_array(sparse.hstack([data.values, brought_about])),
        np.append(data.exposure, after_it),
        data.weights,
        np.append(coefficients, 1.0),
        hazard,
    )


def held_out_log_likelihood(data: PersonTime, coefficients: FloatArray, seed: int = 0) -> float:
    """Log likelihood per conversion of conversions that the additive hazard was not fitted to.

    A Poisson process of which each event is kept at random with probability q is again one, with q
    times the hazard. So conversions are dealt into folds at random, a fold is scored with the
    hazard fitted to the others, and no person-time needs to be set aside.

    Parameters
    ----------
    data
        Conversions and person-time.
    coefficients
        Shape (p,): where the likelihood of all the data is highest. Fits to parts begin there.
    seed
        Seed of the dealing.

    Returns
    -------
    float
        Zero where there is no conversion.
    """
    n = len(data.weights)
    if n == 0:
        return 0.0
    fold = _dealt(n, seed)
    kept = (fold[:, None] != np.arange(FOLDS)) * data.weights[:, None]
    rates = maximize_likelihood(
        data.values,
        data.exposure * (1 - 1 / FOLDS),
        kept,
        start=np.repeat(coefficients[:, None], FOLDS, axis=1),
        tolerance=0.1,
    ).coefficients
    hazard = (data.values @ rates)[np.arange(n), fold]
    log_hazard = data.weights @ np.log(np.maximum(hazard, _hazard_of_the_unseen(data)))
    return float((log_hazard - (data.exposure @ rates).mean()) / data.weights.sum())


def _hazard_of_the_unseen(data: PersonTime) -> float:
    """Give what training never saw a little hazard: a fold must not be judged by one conversion."""
    return float(1e-6 * data.weights.sum() / max(data.exposure.sum(), TINY))


def _dealt(n: int, seed: int) -> IntArray:
    """Fold of each conversion, all of about the same size."""
    return np.random.default_rng(seed).permutation(n) % FOLDS


def perturbed_coefficients(
    data: PersonTime, coefficients: FloatArray, counts: FloatArray, sweeps: int = 100
) -> FloatArray:
    """Coefficients that would have been fitted had chance dealt the conversions differently.

    Around the maximum the log likelihood is nearly quadratic, so each draw is fitted by coordinate
    descent on the quadratic with the same bound at 0: the time of a draw does not depend on the
    conversions.

    Parameters
    ----------
    data
        Conversions and person-time.
    coefficients
        Shape (p,): where the likelihood of the data is highest.
    counts
        Shape (n, draws): how often each conversion happened; independent numbers of mean 1 and
        variance 1, as Poisson numbers are.
    sweeps
        At most so many passes over the coefficients.

    Returns
    -------
    numpy.ndarray
        Shape (p, draws), at least 0.
    """
    quadratic = _Quadratic.at(data.values, data.exposure, data.weights, coefficients)
    # Slope of each draw at the maximum: its own conversions against the same exposure.
    slopes = quadratic.scaled.T @ (counts * data.weights[:, None]) - 1.0
    return quadratic.maximum(slopes, sweeps, tolerance=1e-3 * float(np.sqrt(data.weights.sum())))


@dataclass(frozen=True)
class HazardFit:
    """What every channel brought about.

    Attributes
    ----------
    features
        The p features of the data.
    is_log
        Whether the link is the logarithm.
    repeat_factor
        How many times as much touches bring about after a person's first conversion: additive, 1
        where another number is not likelier; log, that of the whole hazard. 1 where nobody converts
        twice.
    coefficients
        Shape (p,). Additive: conversions per person-day and unit of each feature before a person's
        first conversion; after it, that times the repeat factor. Log: what one
        minus exp(-feature), added up over ordinals, adds to the log hazard; of `BASELINE`, the log
        hazard without any touch.
    channels
        The channels, sorted, `BASELINE` first.
    conversions
        Shape (channels,): conversions each of them brought about; they add up to all conversions.
    std_error
        Shape (channels,): standard error of `conversions`.
    low, high
        Shape (channels,): 95 % interval of `conversions`.
    of_touches
        Shape (channels,): conversions shared without the baseline, 0 for it; they add up to the
        conversions with a touch.
    of_touches_std_error
        Shape (channels,): standard error of `of_touches`.
    held_out
        Log likelihood per held-out conversion of each form of the model that was tried: additive,
        additive_ordinals (first, second and later touches count differently), log.
    """

    features: tuple[Feature, ...]
    is_log: bool
    repeat_factor: float
    coefficients: FloatArray
    channels: tuple[str, ...]
    conversions: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    of_touches: FloatArray
    of_touches_std_error: FloatArray
    held_out: dict[str, float]


def fit_hazard(data: PersonTime, draws: int = 400, seed: int = 0) -> HazardFit:
    """Fit the hazard and say what every channel brought about, with intervals.

    The form is decided by the likelihood: of all conversions, whether the person's first matters;
    of held-out ones, whether the ordinal of a touch matters, and, where there is a sample of
    person-time, whether the link is the logarithm.

    Parameters
    ----------
    data
        Conversions and person-time.
    draws
        Number of draws for the intervals, at least 2.
    seed
        Seed of draws and validation.

    Returns
    -------
    HazardFit
        Deterministic given the seed and the order of the conversions. Names of channels play no
        part, except where two channels have the same exposure and values.

    Raises
    ------
    ValueError
        If there are fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"There are {draws} draws; there must be at least 2.")
    anonymous, order, places = _without_names(data)
    with one_thread():
        fit = _fit_form(anonymous, draws, seed)
    return HazardFit(
        features=data.features,
        is_log=fit.is_log,
        repeat_factor=fit.repeat_factor,
        coefficients=fit.coefficients[np.argsort(order)],
        channels=channel_of(data.features)[0],
        conversions=fit.conversions[places],
        std_error=fit.std_error[places],
        low=fit.low[places],
        high=fit.high[places],
        of_touches=fit.of_touches[places],
        of_touches_std_error=fit.of_touches_std_error[places],
        held_out=fit.held_out,
    )


def _without_names(data: PersonTime) -> tuple[PersonTime, IntArray, IntArray]:
    """Call channels by their rank of exposure, so that sums are not in the order of their names.

    The last digits of a sum depend on its order, and steps towards the maximum magnify them.

    Returns
    -------
    PersonTime
        The same data, features sorted by the new names.
    numpy.ndarray
        Shape (p,): place in the data of each of these features.
    numpy.ndarray
        Shape (channels,): place of each channel of `channel_of` among the new names.
    """
    names = channel_of(data.features)[0]
    place = {name: index for index, name in enumerate(names)}
    owner = np.array([place[feature.channel] for feature in data.features], dtype=np.int64)
    exposure = np.bincount(owner, data.exposure, minlength=len(names))
    value = np.bincount(owner, data.weights @ data.values, minlength=len(names))
    by_size = np.lexsort((value[1:], exposure[1:]))
    places = np.zeros(len(names), dtype=np.int64)
    places[1 + by_size] = np.arange(1, len(names))
    features = [
        feature
        if feature.channel == BASELINE
        else feature._replace(channel=f"{places[place[feature.channel]]:09d}")
        for feature in data.features
    ]
    order = np.array(sorted(range(len(features)), key=features.__getitem__), dtype=np.int64)
    points = data.points
    anonymous = PersonTime(
        features=tuple(features[index] for index in order),
        exposure=data.exposure[order],
        values=_columns(data.values, order),
        weights=data.weights,
        points=points and PersonTimeSample(_columns(points.values, order), points.weights),
        persons=data.persons,
        repeat_exposure=None if data.repeat_exposure is None else data.repeat_exposure[order],
    )
    return anonymous, order, places


def _columns(values: sparse.csr_array, order: IntArray) -> sparse.csr_array:
    """Columns in another order, and each row's values in the order of its columns."""
    chosen = sparse.csr_array(values[:, order])
    chosen.sort_indices()
    return chosen


@dataclass(frozen=True)
class _AdditiveForm:
    """One form of the additive hazard, fitted.

    Attributes
    ----------
    data
        Conversions and person-time as the form has them, of p features.
    into
        Which of these each feature of the data that were given is.
    coefficients
        Shape (p,): where their likelihood is highest.
    repeat_factor
        By which touches of the data are multiplied after the first conversion; None for no factor.
    """

    data: PersonTime
    into: IntArray
    coefficients: FloatArray
    repeat_factor: float | None = None

    @classmethod
    def of(cls, data: PersonTime, into: IntArray) -> "_AdditiveForm":
        """Fit the data, with a repeat factor where that is likelier."""
        fit = maximize_likelihood(data.values, data.exposure, data.weights[:, None])
        without = cls(data, into, fit.coefficients[:, 0])
        if data.repeat_exposure is None or not _touches_and_repeats(data)[1].any():
            return without
        factor, scaled, with_factor = fit_repeat_factor(data, without.coefficients)
        gain = float(with_factor.log_likelihood[0] - fit.log_likelihood[0])
        # Where each conversion stands for several, so does what is learnt from it.
        if gain <= REPEAT_FACTOR_GAIN * data.weights.mean():
            return without
        return cls(scaled, into, with_factor.coefficients[:, 0], factor)

    @classmethod
    def like(cls, other: "_AdditiveForm", data: PersonTime, into: IntArray) -> "_AdditiveForm":
        """Fit the data, with the repeat factor that the other has."""
        scaled = after_first_conversion(data, other.repeat_factor or 1.0)
        fit = maximize_likelihood(scaled.values, scaled.exposure, scaled.weights[:, None])
        return cls(scaled, into, fit.coefficients[:, 0], other.repeat_factor)

    def with_own_factor(self, data: PersonTime) -> "_AdditiveForm":
        """Fit the repeat factor, where there is one, to the data as they were given."""
        if self.repeat_factor is None:
            return self
        factor, scaled, fit = fit_repeat_factor(data, self.coefficients, self.repeat_factor)
        return _AdditiveForm(scaled, self.into, fit.coefficients[:, 0], factor)

    def held_out(self, seed: int) -> float:
        """Log likelihood per conversion of conversions that were not fitted.

        The repeat factor is that of all conversions. By having seen those that are held out, one
        number raises their log likelihood by about one in all.
        """
        gained = 0.0 if self.repeat_factor is None else 1 / len(self.data.weights)
        return float(held_out_log_likelihood(self.data, self.coefficients, seed) - gained)

    def without_traces(self) -> "_AdditiveForm":
        """Call 0 what nears it step by step without getting there: no cause of any conversion."""
        is_trace = self.coefficients * self.data.exposure < LEAST_CREDIT
        return replace(self, coefficients=np.where(is_trace, 0.0, self.coefficients))

    def rates(self) -> FloatArray:
        """Coefficients of the features that were given, as before the first conversion.

        After it, all of them times the repeat factor are the hazard. Being at risk has a rate of
        its own there, which is divided by the factor.
        """
        is_again = [feature.is_at_risk_again for feature in self.data.features]
        return (self.coefficients / np.where(is_again, self.repeat_factor or 1.0, 1.0))[self.into]


def _fit_form(data: PersonTime, draws: int, seed: int) -> HazardFit:
    """Decide the form and fit it."""
    merged, into = merge_ordinals(data)
    alike = _AdditiveForm.of(merged, into)
    # Later touches are more often after a conversion: without the factor they pass for it.
    ordinals = _AdditiveForm.like(alike, data, np.arange(len(into)))
    held_out = {
        "additive": alike.held_out(seed),
        "additive_ordinals": ordinals.held_out(seed),
    }
    log_link = _LogLink.of(data)
    if log_link:
        held_out["log"] = log_link.held_out(seed)
    # Where touches and conversions share their instants, as calls and first contacts do, the factor
    # of a touch has no best value: the larger, the likelier. What it adds is spread over its decay.
    chosen = max(
        (name for name in held_out if name != "log" or held_out[name] < MOST_HELD_OUT_LOG_LINK),
        key=lambda name: held_out[name],
    )
    if log_link and chosen == "log":
        coefficients, totals, std_errors = log_link.fit()
        repeat_factor = log_link.repeat_factor(coefficients)
    else:
        form = ordinals.with_own_factor(data) if chosen == "additive_ordinals" else alike
        form = form.without_traces()
        repeat_factor = form.repeat_factor or 1.0
        totals, std_errors = _additive_totals(form, draws, seed)
        coefficients = form.rates()
    (conversions, of_touches) = totals
    (std_error, of_touches_std_error) = STD_ERROR_FACTOR * std_errors
    reach = NORMAL_97_5 * std_error
    return HazardFit(
        features=data.features,
        is_log=chosen == "log",
        repeat_factor=repeat_factor,
        coefficients=coefficients,
        channels=channel_of(data.features)[0],
        conversions=conversions,
        std_error=std_error,
        low=np.maximum(conversions - reach, 0),
        high=conversions + reach,
        of_touches=of_touches,
        of_touches_std_error=of_touches_std_error,
        held_out=held_out,
    )


def _additive_totals(form: _AdditiveForm, draws: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Conversions of each channel with standard errors, which take a repeat factor as given.

    The credit of a feature in one conversion is its part of the hazard, b x / x'b; at the maximum
    the credits of all conversions add up to b T. Both results have shape (2, channels): with the
    baseline, and shared among touches alone.
    """
    data, coefficients = form.data, form.coefficients
    # Exponential numbers have the mean and variance of Poisson numbers, and are quicker to draw.
    persons = np.arange(len(data.weights)) if data.persons is None else data.persons
    people = int(persons.max(initial=-1)) + 1
    counts = np.random.default_rng(seed).standard_exponential((people, draws))
    if people < len(persons):
        counts = counts[persons]
    draws_of = perturbed_coefficients(data, coefficients, counts)
    channels, owner = channel_of(data.features)
    per_channel = np.zeros((len(channels), len(owner)))
    per_channel[owner, np.arange(len(owner))] = data.exposure
    of_touches, drawn_of_touches = _shared_among_touches(data, coefficients, counts, draws_of, seed)
    return (
        np.stack([per_channel @ coefficients, of_touches]),
        np.stack([(per_channel @ draws_of).std(axis=1, ddof=1), drawn_of_touches.std(1, ddof=1)]),
    )


def _shared_among_touches(
    data: PersonTime, coefficients: FloatArray, counts: FloatArray, draws_of: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Conversions of each channel without the baseline, and what draws make of them.

    A draw moves them in two ways: conversions happen more or less often, and the coefficients share
    them in another way, which a sample of the conversions shows.

    Returns
    -------
    numpy.ndarray
        Shape (channels,).
    numpy.ndarray
        Shape (channels, draws).
    """
    n = len(data.weights)
    some = np.random.default_rng([seed, 1]).permutation(n)[:RESPONDING_CONVERSIONS]
    responding = PersonTime(
        data.features, data.exposure, sparse.csr_array(data.values[some]), data.weights[some]
    )
    scale = data.weights.sum() / max(data.weights[some].sum(), TINY)
    channels, owner = channel_of(data.features)
    fallback, responding_fallback = _equal_shares(data), _equal_shares(responding)
    of_channel = (owner[:, None] == np.arange(len(channels))) * (owner > 0)[:, None]
    part = data.values @ (of_channel * coefficients[:, None])
    amounts = data.weights[:, None] * _part(part, part.sum(axis=1, keepdims=True), fallback)
    drawn = amounts.T @ counts
    both = np.column_stack([coefficients, draws_of])
    both[owner == 0] = 0.0
    caused = responding.values @ both
    # A feature has b x / caused of each conversion. b is the same in all of them, so that only
    # w x / caused is added up: one product, however many channels there are.
    per_caused = responding.weights[:, None] * _per_hazard(caused)
    response = of_channel.T @ (both * (responding.values.T @ per_caused))
    uncaused = responding.weights[:, None] * (caused <= LOWEST_HAZARD)
    (some,) = np.nonzero(uncaused.any(axis=1))
    response += responding_fallback[some].T @ uncaused[some]
    drawn[1:] += scale * (response[1:, 1:] - response[1:, :1])
    return amounts.sum(axis=0), drawn


def _part(part: FloatArray, whole: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Divide hazards, with another share where the whole is none."""
    repeated = np.broadcast_to(otherwise, part.shape).copy()
    return np.asarray(np.divide(part, whole, out=repeated, where=whole > LOWEST_HAZARD))


def _equal_shares(data: PersonTime) -> FloatArray:
    """Shares, of shape (n, channels), where no touch has an effect: about equal per touch.

    What is left of touches at the slowest decay stands for their number.
    """
    channels = channel_of(data.features)[0]
    place = {name: index for index, name in enumerate(channels)}
    counted = np.zeros((len(data.features), len(channels)))
    slowest = max((feature.decay_days for feature in data.features), default=0.0)
    for index, feature in enumerate(data.features):
        if feature.channel != BASELINE and feature.decay_days == slowest:
            counted[index, place[feature.channel]] = 1.0
    touches = np.asarray(data.values @ counted)
    whole = touches.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(touches, whole, out=touches, where=whole > 0))


@dataclass(frozen=True)
class _LogLink:
    """The data as the log link needs them: dense designs of shape (n, r) and (q, r).

    `column_of`, of shape (p,), is the column of each feature, or -1; `channel_of_column`, of shape
    (r,), the place of the channel among those of `channel_of`, 0 for the baseline.
    """

    data: PersonTime
    design: FloatArray
    point_design: FloatArray
    point_weights: FloatArray
    column_of: IntArray
    channel_of_column: IntArray

    @classmethod
    def of(cls, data: PersonTime) -> "_LogLink | None":
        """Arrange the data; None where the log link cannot or need not be tried."""
        points = data.points
        if points is None or not points.weights.sum() > 0 or not data.weights.sum() > 0:
            return None
        # Ordinals are added up; what fades slowly stands for interest, which the log link leaves
        # to the intercepts: it would take the place of lasting effects.
        keys = [
            (feature.channel, feature.decay_days)
            if feature.decay_days in LOG_DECAY_DAYS
            else (feature.channel, float(-feature.ordinal))
            if feature.is_at_risk_again
            else None
            for feature in data.features
        ]
        columns = sorted({key for key in keys if key})
        if len(columns) > MOST_LOG_COLUMNS:
            return None
        place = {key: index for index, key in enumerate(columns)}
        column_of = np.array([place[key] if key else -1 for key in keys], dtype=np.int64)
        channel_of_column = np.zeros(len(columns) + 1, dtype=np.int64)
        owner = channel_of(data.features)[1]
        channel_of_column[column_of[column_of >= 0] + 1] = owner[column_of >= 0]
        return cls(
            data=data,
            design=saturated(data.values, column_of, len(columns)),
            point_design=saturated(points.values, column_of, len(columns)),
            point_weights=points.weights,
            column_of=column_of,
            channel_of_column=channel_of_column,
        )

    def held_out(self, seed: int) -> float:
        """Log likelihood per conversion of conversions that were not fitted."""
        weights = self.data.weights
        fold = _dealt(len(weights), seed)
        total = 0.0
        start = None  # The folds have most conversions in common.
        for number in range(FOLDS):
            out = fold == number
            if weights[~out].sum() > 0:
                fit = self._maximum(weights * ~out, self.point_weights * (1 - 1 / FOLDS), start)
                start = fit.coefficients
                mass = self.point_weights @ np.exp(self.point_design @ fit.coefficients)
                total += weights[out] @ (self.design[out] @ fit.coefficients) - mass / FOLDS
            else:
                total += weights[out].sum() * np.log(_hazard_of_the_unseen(self.data))
        return float(total / weights.sum())

    def repeat_factor(self, coefficients: FloatArray) -> float:
        """How many times as large the hazard is after the first conversion; 1 where none is."""
        log_rates = {
            feature.is_at_risk_again: coefficient
            for feature, coefficient in zip(self.data.features, coefficients, strict=True)
            if not feature.is_touch
        }
        return float(np.exp(log_rates[True] - log_rates[False])) if len(log_rates) == 2 else 1.0

    def _maximum(
        self, weights: FloatArray, point_weights: FloatArray, start: FloatArray | None = None
    ) -> LogFit:
        return fit_log_link(self.design, weights, self.point_design, point_weights, start)

    def _shares(
        self, coefficients: FloatArray, equal_shares: FloatArray, is_signed: bool = False
    ) -> FloatArray:
        """Shapley value of each channel in each conversion, then the same without the baseline.

        Shape (n, 2 x channels), the baseline first in both halves. Signed, a channel whose factor
        is below 1 has a share below 0 in the first half.
        """
        channels = len(channel_of(self.data.features)[0])
        into = np.zeros((len(coefficients), channels))
        into[np.arange(len(coefficients)), self.channel_of_column] = coefficients
        into[:, 0] = 0.0
        shares = shapley_shares(self.design @ into)
        caused = shares.sum(axis=1, keepdims=True)
        of_touches = np.divide(shares, caused, out=equal_shares.copy(), where=caused > 1e-9)
        if is_signed:
            shares = shapley_shares(self.design @ into, is_signed=True)
        shares[:, 0] = 1 - shares.sum(axis=1)
        return np.hstack([shares, of_touches])

    def fit(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Coefficients of the features, and conversions of each channel with standard errors.

        A conversion's influence is its own credit and what it does to the coefficients (delta
        method), added up per person; the sample of person-time adds its own. Conversions and errors
        have shape (2, channels): with the baseline, and shared among touches alone. A channel that
        makes conversions rarer has none, but chance may have made it so: its error is that of its
        share below 0.
        """
        weights = self.data.weights
        fit = self._maximum(weights, self.point_weights)
        equal_shares = _equal_shares(self.data)
        shares = self._shares(fit.coefficients, equal_shares)
        signed = self._shares(fit.coefficients, equal_shares, is_signed=True)
        slopes = np.zeros((len(fit.coefficients), shares.shape[1]))
        for index in range(len(fit.coefficients)):
            moved = fit.coefficients.copy()
            moved[index] += 1e-4
            moved_shares = self._shares(moved, equal_shares, is_signed=True)
            slopes[index] = weights @ (moved_shares - signed) / 1e-4
        response = np.linalg.solve(fit.information, slopes)
        influence = self.data.of_persons(weights[:, None] * (signed + self.design @ response))
        expected = self.point_weights * np.exp(self.point_design @ fit.coefficients)
        of_points = expected[:, None] * (self.point_design @ response)
        std_error = np.sqrt((influence**2).sum(axis=0) + (of_points**2).sum(axis=0))

        known = self.column_of >= 0
        coefficients = np.where(known, fit.coefficients[self.column_of + 1], 0.0)
        for index, feature in enumerate(self.data.features):
            if feature.channel == BASELINE:
                # The indicator of being at risk is saturated like everything else.
                coefficients[index] *= -np.expm1(-1.0) * known[index]
                coefficients[index] += fit.coefficients[0]
        return coefficients, (weights @ shares).reshape(2, -1), std_error.reshape(2, -1)


def channel_of(features: Sequence[Feature]) -> tuple[tuple[str, ...], IntArray]:
    """Say which channel has the credit of each feature.

    Returns
    -------
    tuple of str
        `BASELINE` first, then every channel with a touch, sorted.
    numpy.ndarray
        Shape (p,): place of the feature's channel among them; 0 where it counts as baseline.
    """
    names = sorted({feature.channel for feature in features} - {BASELINE})
    place = {name: index for index, name in enumerate([BASELINE, *names])}
    owner = [0 if feature.is_baseline else place[feature.channel] for feature in features]
    return tuple(place), np.array(owner, dtype=np.int64)


def alike(data: PersonTime) -> dict[tuple[str, str], float]:
    """Find channels that touch the same people at the same time.

    Whichever of them has the effect, the likelihood is about the same: one of them gets it all, and
    its interval does not say that it may as well be the other's.

    Returns
    -------
    dict
        Pair of channels, sorted, to the cosine of what is left of their touches at the conversions,
        at least `ALIKE` and at most 1; of channels with fewer than `FEWEST_ALIKE` of these, none.
    """
    channels, owner = channel_of(data.features)
    slowest = max((f.decay_days for f in data.features if not f.is_baseline), default=0.0)
    is_slowest = np.array([feature.decay_days == slowest for feature in data.features])
    adding = sparse.csr_array((owner[:, None] == np.arange(len(channels))) & is_slowest[:, None])
    heights = sparse.csr_array(data.values @ adding)
    products = (heights.T @ (heights.multiply(data.weights[:, None]))).toarray()
    lengths = np.sqrt(np.maximum(np.diag(products), TINY))
    cosines = np.minimum(products / lengths / lengths[:, None], 1.0)
    is_known = np.bincount(heights.indices, minlength=len(channels)) >= FEWEST_ALIKE
    is_known[0] = False  # What counts as baseline, such as direct visits, is no channel.
    pairs = np.argwhere(np.triu((cosines >= ALIKE) & is_known & is_known[:, None], k=1))
    return {(channels[one], channels[other]): float(cosines[one, other]) for one, other in pairs}

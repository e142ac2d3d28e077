"""Person-time hazard with a baseline: how much sooner did a person convert because of a channel?

While a person is at risk, the hazard of converting is the sum of a baseline and of what every
earlier touch adds, which fades:

    lambda_i(t) = a + sum over touches j before t, sum over decays m of
                  b[channel_j, ordinal_j, m] * exp(-(t - t_j) / m),   all coefficients >= 0.

One feature is one combination of channel, ordinal (how often the channel had touched the person:
1, 2, 3 and more) and decay. With x the features of a person at a time, the log likelihood
sum over conversions of log(x'b) - b'T needs the features at the conversions and, of everybody else,
only the exposure T of each feature: its total over all person-time.

Some features are baseline: being at risk, direct visits, and of every channel a part that fades
slowly. People who are often touched are often the interested ones, who would convert anyway; that
shows as a rate that stays high long after the touch, while what the touch itself causes fades.

Source of the method: additive (Hawkes-like) intensities in attribution after Zhang, Wei, Ren
(2014); EM for mixtures of non-negative rates after Shepp and Vardi (1982); acceleration SQUAREM by
Varadhan and Roland (2008); validation by thinning a Poisson process (see docs/methods/hazard.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BASELINE = "(baseline)"
"""Name of the channel that holds what no channel caused."""

EFFECT_DECAY_DAYS = (2.0, 8.0)
"""Mean lives, in days, of what a touch causes; sums of the two make every shape between."""

INTEREST_DECAY_DAYS = 60.0
"""Mean life, in days, of what a touch tells about the person's interest: baseline."""

STD_ERROR_FACTOR = 1.1
"""Widens bootstrap intervals: refits from the same features are a little too much alike."""

NORMAL_97_5 = 1.959963984540054


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
    """

    features: tuple[Feature, ...]
    exposure: FloatArray
    values: sparse.csr_array
    weights: FloatArray

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
    it is no worse than the two alone. The likelihood is concave, so the maximum is the maximum.

    Parameters
    ----------
    values
        Sparse, shape (n, p): features of the conversions, at least 0.
    exposure
        Shape (p,): person-days, at least 0. A feature without exposure gets the coefficient 0.
    weights
        Shape (n, k): weights of the conversions, at least 0, one column per fit.
    start
        Shape (p, k): where to begin; every positive coefficient stays positive. By default all
        features explain the same number of conversions.
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
    if start is None:
        start = np.repeat(per_exposure / max(usable.sum(), 1), weights.shape[1], axis=1) * count
    coefficients = np.where(usable[:, None], start, 0.0)

    def log_likelihood(hazard: FloatArray, rates: FloatArray) -> FloatArray:
        log_hazard = np.log(hazard, out=np.zeros_like(hazard), where=hazard > 0)
        return np.asarray((weights * log_hazard).sum(axis=0) - exposure @ rates)

    def step(rates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        hazard = values @ rates
        share = np.divide(weights, hazard, out=np.zeros_like(hazard), where=hazard > 0)
        ratio = (transposed @ share) * per_exposure
        return rates * ratio, ratio, log_likelihood(hazard, rates)

    history = []
    gap = np.full(weights.shape[1], np.inf)
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
    return Maximum(coefficients, history[-1], np.array(history), gap)


def count_person_time(
    touch_person: IntArray,
    touch_day: FloatArray,
    touch_channel: Sequence[str] | npt.NDArray[np.str_],
    conversion_person: IntArray,
    conversion_day: FloatArray,
    end: float,
    behaviour: Sequence[str] = (),
    uses_up: bool = True,
    profile: IntArray | None = None,
) -> PersonTime:
    """Count exposure and features from events: what SQL does where the data do not fit here.

    A person is at risk from the first touch on, again after every conversion, until the end.

    Parameters
    ----------
    touch_person, touch_day, touch_channel
        Who was touched, when (days since any origin), by which channel.
    conversion_person, conversion_day
        Who converted and when. A conversion without an earlier touch is left out.
    end
        When the observation ends, in days since the same origin.
    behaviour
        Channels that are the person's own doing, such as direct visits: baseline.
    uses_up
        Whether a conversion uses up the touches before it, so that they add nothing afterwards.
    profile
        Group of each person, from 0, at least as many as there are people: each has a baseline of
        its own. By default all have the same.

    Raises
    ------
    ValueError
        If something happens after the end.
    """
    touch_day = np.asarray(touch_day, dtype=np.float64)
    conversion_day = np.asarray(conversion_day, dtype=np.float64)
    latest = max(touch_day.max(initial=-np.inf), conversion_day.max(initial=-np.inf))
    if latest > end:
        raise ValueError(f"Something happens on day {latest}, after the end on day {end}.")
    channels, channel = np.unique(np.asarray(touch_channel, dtype=np.str_), return_inverse=True)
    order = np.lexsort((touch_day, touch_person))
    person, day, channel = touch_person[order], touch_day[order], channel[order]
    order = np.lexsort((conversion_day, conversion_person))
    buyer, bought = conversion_person[order], conversion_day[order]

    # Place of each touch among those of its person and channel.
    by_channel = np.lexsort((day, channel, person))
    changes = (np.diff(person[by_channel]) != 0) | (np.diff(channel[by_channel]) != 0)
    begins = np.flatnonzero(np.concatenate([[True], changes])) if len(person) else np.array([], int)
    run = np.diff(np.append(begins, len(person)))
    ordinal = np.empty(len(person), dtype=np.int64)
    ordinal[by_channel] = np.minimum(np.arange(len(person)) - np.repeat(begins, run), 2)

    # Conversions lie in one row by person and time; those of a person are at first … last - 1.
    instant = np.unique(np.concatenate([day, bought, [end]]))
    key = buyer * len(instant) + np.searchsorted(instant, bought)
    first = np.searchsorted(key, person * len(instant) + np.searchsorted(instant, day), "right")
    after_all = np.searchsorted(buyer, person, "right")
    has_next = first < after_all
    next_bought = np.append(bought, end)[np.where(has_next, first, len(bought))]
    last = np.where(has_next, first + 1, first)
    if uses_up:
        # Conversions at one instant share their touches.
        last = np.where(has_next, np.searchsorted(key, np.append(key, 0)[first], "right"), first)
    else:
        last = after_all
    stop = np.where(has_next, next_bought, end) if uses_up else np.full(len(day), end)

    decays = np.array([*EFFECT_DECAY_DAYS, INTEREST_DECAY_DAYS])
    cell = channel * 3 + ordinal
    n_cells = len(channels) * 3
    exposure = np.stack(
        [
            np.bincount(cell, decay * -np.expm1(-(stop - day) / decay), minlength=n_cells)
            for decay in decays
        ],
        axis=1,
    )
    served = np.maximum(last - first, 0)
    touch = np.repeat(np.arange(len(day)), served)
    conversion = np.repeat(first - np.cumsum(served) + served, served) + np.arange(served.sum())
    value = np.exp(-(bought[conversion] - day[touch])[:, None] / decays)
    column = cell[touch][:, None] * len(decays) + np.arange(len(decays))

    # At risk: before and after the person's first conversion.
    people, at = np.unique(person, return_index=True)
    entered = day[at]
    group = np.zeros(len(people), dtype=np.int64) if profile is None else profile[people]
    n_groups = int(group.max(initial=0)) + 1
    buyers, bought_at = np.unique(buyer, return_index=True)
    place = np.minimum(np.searchsorted(buyers, people), max(len(buyers) - 1, 0))
    bought_first = np.full(len(people), end)
    if len(buyers):
        is_buyer = buyers[place] == people
        bought_first[is_buyer] = np.maximum(bought[bought_at[place]], entered)[is_buyer]
    at_risk = np.stack(
        [
            np.bincount(group, bought_first - entered, minlength=n_groups),
            np.bincount(group, end - bought_first, minlength=n_groups),
        ],
        axis=1,
    )
    place = np.minimum(np.searchsorted(people, buyer), max(len(people) - 1, 0))
    is_known = np.zeros(len(buyer), dtype=bool)
    if len(people):
        is_known = (people[place] == buyer) & (entered[place] < bought)
    (known,) = np.nonzero(is_known)
    is_repeat = bought > bought[bought_at[np.searchsorted(buyers, buyer)]]
    risk_column = n_cells * len(decays) + group[place[known]] * 2 + is_repeat[known]

    features = [
        Feature(
            str(name), rank, float(decay), name in behaviour or bool(decay == INTEREST_DECAY_DAYS)
        )
        for name in channels
        for rank in (1, 2, 3)
        for decay in decays
    ]
    features += [Feature(BASELINE, rank, 0.0, True) for rank in range(2 * n_groups)]
    values = sparse.csr_array(
        (
            np.concatenate([value.ravel(), np.ones(len(known))]),
            (
                np.concatenate([np.repeat(conversion, len(decays)), known]),
                np.concatenate([column.ravel(), risk_column]),
            ),
        ),
        shape=(len(buyer), len(features)),
    )
    return PersonTime(
        features=tuple(features),
        exposure=np.concatenate([exposure.ravel(), at_risk.ravel()]),
        values=values[known],
        weights=np.ones(len(known)),
    )


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
    exposure = np.bincount(into, data.exposure, minlength=len(features))
    return PersonTime(features, exposure, data.values @ adding, data.weights), into


def held_out_log_likelihood(data: PersonTime, folds: int = 4, seed: int = 0) -> float:
    """Log likelihood per conversion of conversions that were not fitted.

    A Poisson process of which each event is kept at random with probability q is again one, with q
    times the hazard. So conversions are dealt into folds at random, a fold is scored with the
    hazard fitted to the others, and no person-time needs to be set aside.

    Parameters
    ----------
    data
        Conversions and person-time.
    folds
        At least 2.
    seed
        Seed of the dealing.

    Returns
    -------
    float
        Zero where there is no conversion.

    Raises
    ------
    ValueError
        If there are fewer than 2 folds.
    """
    if folds < 2:
        raise ValueError(f"There are {folds} folds; there must be at least 2.")
    n = len(data.weights)
    if n == 0:
        return 0.0
    fold = np.random.default_rng(seed).permutation(n) % folds
    kept = (fold[:, None] != np.arange(folds)) * data.weights[:, None]
    rates = maximize_likelihood(data.values, data.exposure * (1 - 1 / folds), kept).coefficients
    hazard = (data.values @ rates)[np.arange(n), fold]
    # What training never saw keeps a little hazard: a fold must not be judged by one conversion.
    floor = 1e-6 * data.weights.sum() / max(data.exposure.sum(), np.finfo(np.float64).tiny)
    log_hazard = data.weights @ np.log(np.maximum(hazard, floor))
    return float((log_hazard - (data.exposure @ rates).mean()) / data.weights.sum())


def perturbed_coefficients(
    data: PersonTime, coefficients: FloatArray, draws: int, seed: int = 0, sweeps: int = 100
) -> FloatArray:
    """Coefficients that would have been fitted had chance dealt the conversions differently.

    Each draw weighs the conversions with independent Poisson numbers of mean 1. Around the maximum
    the log likelihood is nearly quadratic, so each draw is fitted by coordinate descent on the
    quadratic with the same bound at 0: the time of a draw does not depend on the conversions.

    Parameters
    ----------
    data
        Conversions and person-time.
    coefficients
        Shape (p,): where the likelihood of the data is highest.
    draws
        Number of draws.
    seed
        Seed of the draws.
    sweeps
        At most so many passes over the coefficients.

    Returns
    -------
    numpy.ndarray
        Shape (p, draws), at least 0.
    """
    hazard = data.values @ coefficients
    used = np.flatnonzero((data.exposure > 0) & (data.values.sum(axis=0) > 0))
    known = hazard > 0
    # In units of conversions: coefficient x exposure.
    scaled = data.values[known][:, used].multiply(1 / hazard[known][:, None])
    scaled = (scaled.tocsr() @ sparse.diags_array(1 / data.exposure[used])).tocsr()
    weights = data.weights[known]
    curvature = (scaled.T @ scaled.multiply(weights[:, None]).tocsr()).toarray()
    diagonal = curvature.diagonal().copy()
    counts = np.random.default_rng(seed).poisson(size=(len(weights), draws))
    at_best = (coefficients * data.exposure)[used, None]
    # Slope of each draw at the maximum: its own conversions against the same exposure.
    slope = scaled.T @ (counts * weights[:, None]) - 1.0
    credited = np.repeat(at_best, draws, axis=1)
    for _ in range(sweeps):
        largest = 0.0
        for index in range(len(used)):
            new = np.maximum(credited[index] + slope[index] / diagonal[index], 0.0)
            step = new - credited[index]
            slope -= curvature[:, index, None] * step
            credited[index] = new
            largest = max(largest, float(np.abs(step).max(initial=0.0)))
        if largest < 1e-3 * np.sqrt(weights.sum()):
            break
    perturbed = np.zeros((len(coefficients), draws))
    perturbed[used] = credited / data.exposure[used, None]
    return perturbed


@dataclass(frozen=True)
class HazardFit:
    """What every channel brought about.

    Attributes
    ----------
    features
        The p features of the data.
    coefficients
        Shape (p,): conversions per person-day and unit of each feature.
    channels
        The channels, sorted, `BASELINE` first.
    conversions
        Shape (channels,): conversions each of them brought about; they add up to all conversions.
    std_error
        Shape (channels,): standard error of `conversions`.
    low, high
        Shape (channels,): 95 % interval of `conversions`.
    has_ordinals
        Whether first, second and later touches of a channel count differently.
    held_out
        Log likelihood per held-out conversion.
    """

    features: tuple[Feature, ...]
    coefficients: FloatArray
    channels: tuple[str, ...]
    conversions: FloatArray
    std_error: FloatArray
    low: FloatArray
    high: FloatArray
    has_ordinals: bool
    held_out: float


def fit_hazard(data: PersonTime, draws: int = 400, seed: int = 0) -> HazardFit:
    """Fit the additive hazard and say what every channel brought about, with intervals.

    Whether the ordinal of a touch matters is decided by the likelihood of held-out conversions.
    The credit of a feature in one conversion is its part of the hazard, b x / x'b, and over all
    conversions it is b T. Intervals come from refits with Poisson weights on the conversions
    (`perturbed_coefficients`).

    Parameters
    ----------
    data
        Conversions and person-time.
    draws
        Number of refits, at least 2.
    seed
        Seed of refits and validation.

    Returns
    -------
    HazardFit
        Deterministic given the seed and the order of the conversions.

    Raises
    ------
    ValueError
        If there are fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"There are {draws} draws; there must be at least 2.")
    merged, into = merge_ordinals(data)
    simple, rich = (
        held_out_log_likelihood(merged, seed=seed),
        held_out_log_likelihood(data, seed=seed),
    )
    has_ordinals = rich > simple
    if has_ordinals:
        merged, into = data, np.arange(len(data.features))

    best = maximize_likelihood(merged.values, merged.exposure, merged.weights[:, None])
    refits = perturbed_coefficients(merged, best.coefficients[:, 0], draws, seed)
    channels, owner = channel_of(merged.features)
    per_channel = np.zeros((len(channels), len(merged.features)))
    per_channel[owner, np.arange(len(owner))] = merged.exposure
    conversions = (per_channel @ best.coefficients)[:, 0]
    std_error = (per_channel @ refits).std(axis=1, ddof=1)
    reach = NORMAL_97_5 * STD_ERROR_FACTOR * std_error
    return HazardFit(
        features=data.features,
        coefficients=best.coefficients[into, 0],
        channels=channels,
        conversions=conversions,
        std_error=std_error,
        low=np.maximum(conversions - reach, 0),
        high=conversions + reach,
        has_ordinals=has_ordinals,
        held_out=max(simple, rich),
    )


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


def read_person_time(exposure: pa.Table, events: pa.Table) -> dict[str, PersonTime]:
    """Arrange exposures and features, given as rows, into arrays.

    Parameters
    ----------
    exposure
        Columns conversion_type, channel, ordinal, decay_days, is_baseline and exposure, one row per
        feature; any further columns.
    events
        Columns conversion_type, source, conversion_id, channel, ordinal, decay_days, feature_value
        and weight, one row per conversion and feature that is present; any further columns.

    Returns
    -------
    dict
        Conversion type to its data, sorted; conversions are sorted by source and id.

    Raises
    ------
    ValueError
        If a conversion has a feature that has no exposure row.
    """
    key = ["channel", "ordinal", "decay_days"]
    read = {}
    for conversion_type in sorted(exposure["conversion_type"].unique().to_pylist()):
        part = exposure.filter(pc.equal(exposure["conversion_type"], conversion_type))
        part = part.sort_by([(name, "ascending") for name in key])
        features = tuple(
            Feature(str(channel), int(ordinal), float(decay_days), bool(is_baseline))
            for channel, ordinal, decay_days, is_baseline in zip(
                *(part[name].to_pylist() for name in [*key, "is_baseline"]), strict=True
            )
        )
        column = part.select(key).append_column("column", pa.array(np.arange(len(part))))
        present = events.filter(pc.equal(events["conversion_type"], conversion_type))
        conversions = (
            present.group_by(["source", "conversion_id"])
            .aggregate([("weight", "max")])
            .sort_by([("source", "ascending"), ("conversion_id", "ascending")])
        )
        row = conversions.append_column("row", pa.array(np.arange(len(conversions))))
        placed = present.join(column, key).join(row, ["source", "conversion_id"])
        if placed["column"].null_count:
            raise ValueError(
                f"A conversion of type {conversion_type} has a feature without exposure."
            )
        values = sparse.csr_array(
            (
                placed["feature_value"].cast(pa.float64()).to_numpy(),
                (placed["row"].to_numpy(), placed["column"].to_numpy()),
            ),
            shape=(len(conversions), len(features)),
        )
        read[conversion_type] = PersonTime(
            features=features,
            exposure=part["exposure"].cast(pa.float64()).to_numpy(),
            values=values,
            weights=conversions["weight_max"].cast(pa.float64()).to_numpy(),
        )
    return read


RESULTS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32()),
        pa.field("decay_days", pa.float64()),
        pa.field("is_baseline", pa.bool_()),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("std_error", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
    ]
)
"""One fit has three kinds of rows: coefficient (name is a channel), channel_total (name is a
channel) and diagnostic."""


def attribute_person_time(exposure: pa.Table, events: pa.Table) -> pa.Table:
    """Fit the hazard of each conversion type.

    Parameters
    ----------
    exposure, events
        See `read_person_time`.

    Returns
    -------
    pyarrow.Table
        Schema `RESULTS`, sorted. Channel totals add up to the conversions of the events.
    """
    rows: list[dict[str, object]] = []
    for conversion_type, data in read_person_time(exposure, events).items():
        fit = fit_hazard(data)
        rows += [
            {
                "conversion_type": conversion_type,
                "kind": "channel_total",
                "name": channel,
                "value": fit.conversions[index],
                "std_error": fit.std_error[index],
                "low": fit.low[index],
                "high": fit.high[index],
            }
            for index, channel in enumerate(fit.channels)
        ]
        rows += [
            {
                "conversion_type": conversion_type,
                "kind": "coefficient",
                "name": feature.channel,
                "ordinal": feature.ordinal,
                "decay_days": feature.decay_days,
                "is_baseline": feature.is_baseline,
                "value": coefficient,
            }
            for feature, coefficient in zip(fit.features, fit.coefficients, strict=True)
        ]
        diagnostics = {
            "conversions": float(data.weights.sum()),
            "conversions_fitted": float(len(data.weights)),
            "has_ordinals": float(fit.has_ordinals),
            "held_out_log_likelihood": fit.held_out,
        }
        rows += [
            {"conversion_type": conversion_type, "kind": "diagnostic", "name": name, "value": value}
            for name, value in diagnostics.items()
        ]
    return pa.Table.from_pylist(rows, schema=RESULTS)

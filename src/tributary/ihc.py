"""The ihc model: initializer, holder and closer of a journey, and how its parameters are learnt.

The credits themselves are computed in SQL (models/intermediate/credits). Here are the same formula
over arrays, which fitting and its tests need, and two ways to find the parameters: from phase
shares that another service answered (:func:`fit_ihc`), or from the journeys alone
(:func:`learn_ihc`). docs/methods/ihc.md says what each part means and how near it comes.

Source of the method: the three-phase model of the external IHC service; its formula was found by
comparing its answers with its inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, nnls

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PHASES = ("initializer", "holder", "closer")

_KNOTS = 30
_CONVERSIONS_FITTED = 20_000
_FACTOR_PENALTY = 1e-6  # only keeps what the data do not determine from running away
_FACTOR_IS_KNOWN = 1e-3  # sum of squared slopes below which a channel's factor is left at 1


@dataclass(frozen=True)
class Journeys:
    """Touches of converted journeys: arrays of length n, one journey after the other, in order.

    Attributes
    ----------
    conversion
        Number of the journey, from 0, not decreasing.
    channel
        Index into `channels`.
    channels
        Names of the channels.
    hours_since_previous
        Hours since the touch before, 0 or more; NaN for the first touch of a journey.
    hours_to_conversion
        Hours from the touch to the conversion, 0 or more.
    holder_engagement, closer_engagement
        Whether the visitor was engaged in the way that holds, or closes.

    Raises
    ------
    ValueError
        If the arrays differ in length or the journeys are not one after the other.
    """

    conversion: Integers
    channel: Integers
    channels: tuple[str, ...]
    hours_since_previous: Floats
    hours_to_conversion: Floats
    holder_engagement: Flags
    closer_engagement: Flags

    def __post_init__(self) -> None:
        lengths = {
            len(column)
            for column in (
                self.conversion,
                self.channel,
                self.hours_since_previous,
                self.hours_to_conversion,
                self.holder_engagement,
                self.closer_engagement,
            )
        }
        if len(lengths) != 1:
            raise ValueError("The columns of the journeys differ in length.")
        steps = np.diff(self.conversion, prepend=-1)
        if np.any((steps != 0) & (steps != 1)) or np.any(self.is_first != (steps == 1)):
            raise ValueError(
                "Journeys come one after the other, numbered from 0, and only the first touch of "
                "a journey has no touch before it."
            )

    @property
    def is_first(self) -> Flags:
        """Whether the touch is the first of its journey."""
        return np.isnan(self.hours_since_previous)

    @property
    def is_last(self) -> Flags:
        """Whether the touch is the last of its journey."""
        return np.append(self.is_first, True)[1:]

    def of(self, conversions: Flags) -> "Journeys":
        """Keep the journeys that are marked; `conversions` has one flag per journey."""
        kept = conversions[self.conversion]
        return Journeys(
            conversion=(np.cumsum(conversions) - 1)[self.conversion[kept]],
            channel=self.channel[kept],
            channels=self.channels,
            hours_since_previous=self.hours_since_previous[kept],
            hours_to_conversion=self.hours_to_conversion[kept],
            holder_engagement=self.holder_engagement[kept],
            closer_engagement=self.closer_engagement[kept],
        )


@dataclass(frozen=True)
class PhaseShares:
    """Shares of the touches: arrays of length n, in [0, 1], each adding up to 1 per journey.

    holder is all 0 in a journey in which no touch holds.
    """

    initializer: Floats
    holder: Floats
    closer: Floats
    ihc: Floats

    def of(self, touches: Flags) -> "PhaseShares":
        """Keep the touches that are marked."""
        return PhaseShares(
            self.initializer[touches], self.holder[touches], self.closer[touches], self.ihc[touches]
        )


@dataclass(frozen=True)
class Curve:
    """A piecewise linear membership curve: hours increase from 0, memberships lie in [0, 1]."""

    hours: Floats
    memberships: Floats

    def at(self, hours: Floats) -> Floats:
        """Membership after some hours; beyond the last point it stays what it is there."""
        return np.interp(hours, self.hours, self.memberships)

    def simplified(self, tolerance: float) -> "Curve":
        """Leave out points, so that the curve moves nowhere by more than the tolerance.

        Source of the method: Douglas and Peucker (1973), with distances along membership.
        """
        kept = {0, len(self.hours) - 1}
        open_ranges = [(0, len(self.hours) - 1)]
        while open_ranges:
            first, last = open_ranges.pop()
            ends = [first, last]
            line = np.interp(self.hours[first : last + 1], self.hours[ends], self.memberships[ends])
            distance = np.abs(self.memberships[first : last + 1] - line)
            farthest = first + int(distance.argmax())
            if distance.max() > tolerance:
                kept.add(farthest)
                open_ranges += [(first, farthest), (farthest, last)]
        points = sorted(kept)
        return Curve(self.hours[points], self.memberships[points])


@dataclass(frozen=True)
class IhcParameters:
    """Everything about the ihc model that differs by account.

    Attributes
    ----------
    initializer
        Membership by hours since the previous touch (the first touch has 1).
    closer
        Membership by hours to the conversion.
    phase_weights
        Weight by phase, positive, adding up to 1.
    channel_factors
        Factor by phase and channel, positive; a channel that is not listed has 1.
    """

    initializer: Curve
    closer: Curve
    phase_weights: Mapping[str, float]
    channel_factors: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Comparison:
    """How near shares come to the ones they should be, over journeys of two or more touches.

    Attributes
    ----------
    conversions, touches
        How many were compared.
    mean_absolute_error
        By phase, and of the credit as `ihc`.
    correlation
        Of the credit; NaN where it does not vary.
    channel_differences
        By channel, its total credit relative to the one it should have, minus 1; NaN where that
        is 0.
    channel_totals
        By channel, the total credit it should have: how much its difference weighs.
    """

    conversions: int
    touches: int
    mean_absolute_error: Mapping[str, float]
    correlation: float
    channel_differences: Mapping[str, float]
    channel_totals: Mapping[str, float]


def phase_shares(journeys: Journeys, parameters: IhcParameters) -> PhaseShares:
    """Split every conversion among its touches, by phase and in all.

    The formula of models/intermediate/credits/int_ihc_memberships.sql and int_ihc_credits.sql,
    which is the one that builds run.
    """
    memberships = _memberships(journeys, parameters.initializer, parameters.closer)
    shares = {
        phase: _normalised(
            membership * _factors(journeys, parameters.channel_factors.get(phase, {})),
            journeys.conversion,
        )
        for phase, membership in memberships.items()
    }
    weighted = sum(
        (parameters.phase_weights[phase] * shares[phase] for phase in PHASES),
        np.zeros(len(journeys.conversion)),
    )
    return PhaseShares(**shares, ihc=_normalised(weighted, journeys.conversion))


def fit_ihc(journeys: Journeys, observed: PhaseShares) -> IhcParameters:
    """Find the parameters whose shares are nearest to observed ones, by least squares.

    Curves are monotone and linear between knots at the quantiles of the hours at which a phase has
    a share. More than 20,000 journeys are thinned to that number, evenly.

    Raises
    ------
    ValueError
        If no journey has two touches, or the columns differ in length.
    """
    if len(observed.ihc) != len(journeys.conversion):
        raise ValueError("There must be one observed share for every touch of the journeys.")
    lengths = np.bincount(journeys.conversion)
    _needs_pauses(lengths)
    chosen = np.zeros(len(lengths), dtype=bool)
    several = np.flatnonzero(lengths >= 2)
    every = np.linspace(0, len(several) - 1, min(len(several), _CONVERSIONS_FITTED))
    chosen[several[every.astype(np.int64)]] = True
    observed = observed.of(chosen[journeys.conversion])
    journeys = journeys.of(chosen)

    everything = np.ones(len(journeys.conversion))
    initializer, initializer_factors = _fit_phase(
        journeys,
        observed.initializer,
        everything,
        np.where(journeys.is_first, np.nan, journeys.hours_since_previous),
        is_rising=True,
    )
    closer, closer_factors = _fit_phase(
        journeys,
        observed.closer,
        _closing(journeys),
        journeys.hours_to_conversion,
        is_rising=False,
    )
    holding = _memberships(journeys, initializer, closer)["holder"]
    _, holder_factors = _fit_phase(
        journeys, observed.holder, holding, np.full(len(everything), np.nan), is_rising=True
    )
    return IhcParameters(
        initializer=initializer,
        closer=closer,
        phase_weights=_fit_phase_weights(journeys, observed),
        channel_factors={
            "initializer": initializer_factors,
            "holder": holder_factors,
            "closer": closer_factors,
        },
    )


def learn_ihc(journeys: Journeys) -> IhcParameters:
    """Choose parameters from the journeys alone, where no observed shares are at hand.

    Initializer: membership after a pause is the share of all paused time that lies in pauses no
    longer than it, so that a pause counts as a new beginning as far as it is a long one here.
    Closer: the share of touches with another one after them whose conversion took longer to come.
    Phases weigh the same and channels have no factors.

    Raises
    ------
    ValueError
        If no journey has two touches.
    """
    _needs_pauses(np.bincount(journeys.conversion))
    levels = np.linspace(0, 1, _KNOTS)
    pauses = np.sort(journeys.hours_since_previous[~journeys.is_first])
    paused = np.cumsum(pauses) / max(float(pauses.sum()), np.finfo(np.float64).tiny)
    lengths = np.unique(np.quantile(pauses, levels, method="nearest"))
    until = np.concatenate([[0.0], paused])[np.searchsorted(pauses, lengths, side="right")]

    waits = np.sort(journeys.hours_to_conversion[~journeys.is_last])
    hours = np.unique(np.quantile(waits, levels, method="nearest"))
    longer = 1 - np.searchsorted(waits, hours, side="right") / len(waits)
    return IhcParameters(
        initializer=_from_zero(Curve(lengths, until), at_zero=0.0),
        closer=_from_zero(Curve(hours, longer), at_zero=1.0),
        phase_weights=dict.fromkeys(PHASES, 1 / len(PHASES)),
        channel_factors={},
    )


def compare(journeys: Journeys, shares: PhaseShares, observed: PhaseShares) -> Comparison:
    """Compare shares with observed ones, over the journeys of two or more touches."""
    lengths = np.bincount(journeys.conversion, minlength=1)
    kept = lengths[journeys.conversion] >= 2
    ours, theirs = shares.of(kept), observed.of(kept)
    varies = kept.any() and ours.ihc.std() > 0 and theirs.ihc.std() > 0
    count = len(journeys.channels)
    totals = np.bincount(journeys.channel[kept], weights=ours.ihc, minlength=count)
    observed_totals = np.bincount(journeys.channel[kept], weights=theirs.ihc, minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = np.where(observed_totals > 0, totals / observed_totals - 1, np.nan)
    return Comparison(
        conversions=int(np.count_nonzero(lengths >= 2)),
        touches=int(np.count_nonzero(kept)),
        mean_absolute_error={
            name: float(np.abs(getattr(ours, name) - getattr(theirs, name)).mean())
            if kept.any()
            else float("nan")
            for name in (*PHASES, "ihc")
        },
        correlation=float(np.corrcoef(ours.ihc, theirs.ihc)[0, 1]) if varies else float("nan"),
        channel_differences=dict(zip(journeys.channels, differences.tolist(), strict=True)),
        channel_totals=dict(zip(journeys.channels, observed_totals.tolist(), strict=True)),
    )


def half_of(keys: Sequence[object], seed: int) -> Flags:
    """Mark a random half of the keys (rounded down): the same half for the same keys and seed."""
    marked = np.zeros(len(keys), dtype=bool)
    marked[np.random.default_rng(seed).permutation(len(keys))[: len(keys) // 2]] = True
    return marked


def _memberships(journeys: Journeys, initializer: Curve, closer: Curve) -> dict[str, Floats]:
    """Membership of every touch in every phase, before channel factors."""
    initializing = np.where(
        journeys.is_first, 1.0, initializer.at(np.nan_to_num(journeys.hours_since_previous))
    )
    closing = _closing(journeys) * closer.at(journeys.hours_to_conversion)
    not_initializing = 1 - _normalised(initializing, journeys.conversion)
    not_closing = 1 - _normalised(closing, journeys.conversion)
    both = not_initializing + not_closing
    harmonic = 2 * not_initializing * not_closing / np.where(both > 0, both, 1)
    holding = journeys.holder_engagement * (both / 2 + harmonic) / 2
    return {"initializer": initializing, "holder": holding, "closer": closing}


def _closing(journeys: Journeys) -> Floats:
    """1 for touches that may close: the engaged ones and the last, or all where none is engaged."""
    engaged = journeys.closer_engagement
    is_some = _per_journey(engaged.astype(np.float64), journeys.conversion) > 0
    return np.where(engaged | journeys.is_last | ~is_some, 1.0, 0.0)


def _per_journey(values: Floats, conversion: Integers) -> Floats:
    """Sum of a value over its journey, for every touch."""
    totals = np.bincount(conversion, weights=values).astype(np.float64)
    return totals[conversion]


def _normalised(memberships: Floats, conversion: Integers) -> Floats:
    """Shares of the journey's memberships; 0 where no touch belongs to the phase."""
    totals = _per_journey(memberships, conversion)
    return memberships / np.where(totals > 0, totals, 1)


def _factors(journeys: Journeys, factors: Mapping[str, float]) -> Floats:
    by_channel = np.array([factors.get(channel, 1.0) for channel in journeys.channels])
    return by_channel[journeys.channel]


def _fit_phase(
    journeys: Journeys, share: Floats, base: Floats, hours: Floats, *, is_rising: bool
) -> tuple[Curve, dict[str, float]]:
    """Fit share = base x factor of channel x curve(hours), normalised per journey.

    Parameters
    ----------
    share, base
        Observed shares, and what multiplies the curve; (n,).
    hours
        Where on the curve each touch is; NaN where its membership is 1 whatever the curve; (n,).
    is_rising
        Whether the curve rises or falls.
    """
    count = len(journeys.channels)
    starts = np.flatnonzero(journeys.is_first)
    on_curve = ~np.isnan(hours)
    knots = _knots(hours[on_curve & (share > 0) & (base > 0)], is_rising=is_rising)
    if not on_curve.any():
        knots = np.zeros(0)
    steps = np.zeros((len(hours), len(knots)))
    if len(knots):
        steps[on_curve] = _steps(hours[on_curve], knots, is_rising=is_rising)
    has_share = _per_journey(share, journeys.conversion) > 0
    of_channel = np.zeros((len(hours), count))
    of_channel[np.arange(len(hours)), journeys.channel] = 1.0

    def memberships(parameters: Floats) -> tuple[Floats, Floats]:
        factor = base * np.exp(of_channel @ parameters[len(knots) :])
        return factor, np.where(on_curve, steps @ parameters[: len(knots)], 1.0)

    def residuals(parameters: Floats) -> Floats:
        factor, height = memberships(parameters)
        fitted = _normalised(factor * height, journeys.conversion)
        # Only a curve that every touch is on has a scale of its own: it is set to reach 1.
        scale = parameters[: len(knots)].sum() - 1 if len(knots) and on_curve.all() else 0.0
        return np.concatenate(
            [
                np.where(has_share, fitted - share, 0.0),
                np.sqrt(_FACTOR_PENALTY) * parameters[len(knots) :],
                [scale],
            ]
        )

    def slopes(parameters: Floats) -> Floats:
        factor, height = memberships(parameters)
        total = np.maximum(_per_journey(factor * height, journeys.conversion), 1e-300)
        inner = np.hstack([factor[:, None] * steps, (factor * height)[:, None] * of_channel])
        outer = np.add.reduceat(inner, starts, axis=0)[journeys.conversion]
        fitted = (factor * height / total)[:, None]
        slope = np.where(has_share[:, None], (inner - fitted * outer) / total[:, None], 0.0)
        penalty = np.hstack([np.zeros((count, len(knots))), np.eye(count)])
        scale = np.zeros((1, len(knots) + count))
        scale[0, : len(knots)] = float(on_curve.all())
        return np.vstack([slope, np.sqrt(_FACTOR_PENALTY) * penalty, scale])

    start = np.concatenate([np.full(len(knots), 1 / max(len(knots), 1)), np.zeros(count)])
    floor = np.concatenate([np.zeros(len(knots)), np.full(count, -10.0)])
    ceiling = np.concatenate([np.full(len(knots), np.inf), np.full(count, 10.0)])
    solution = least_squares(residuals, start, jac=slopes, bounds=(floor, ceiling)).x

    # Factors are relative to each other: the channel in the middle, by touches, is set to 1.
    logs = solution[len(knots) :]
    is_known = (slopes(solution)[: len(hours), len(knots) :] ** 2).sum(axis=0) > _FACTOR_IS_KNOWN
    touches = of_channel.sum(axis=0) * is_known
    by_size = np.argsort(logs, kind="stable")
    middle = np.searchsorted(np.cumsum(touches[by_size]), touches.sum() / 2)
    center = logs[by_size[middle]] if is_known.any() else 0.0
    factors = {
        channel: float(np.exp(log - center))
        for channel, log, known in zip(journeys.channels, logs, is_known, strict=True)
        if known
    }
    if not len(knots):
        return Curve(knots, knots), factors
    # One after the other, not by a product, whose rounding may let a curve turn.
    rises = solution[: len(knots)]
    heights = np.cumsum(rises) if is_rising else np.cumsum(rises[::-1])[::-1]
    if on_curve.all():
        heights = heights / max(float(heights.max()), np.finfo(np.float64).tiny)
    return Curve(knots, np.clip(heights, 0.0, 1.0)), factors


def _knots(hours: Floats, *, is_rising: bool) -> Floats:
    """Hours between which a curve is linear: quantiles of the hours at which there is a share.

    A rising curve is 0 for a while and needs a knot at 0 hours to say so; a falling one is level
    before the first hour that was seen.
    """
    if not len(hours):
        return np.zeros(1)
    knots: Floats = np.quantile(np.unique(hours), np.linspace(0, 1, _KNOTS))
    inner: Floats = np.append(knots if is_rising else knots[1:], 0.0)
    return np.unique(inner)


def _steps(hours: Floats, knots: Floats, *, is_rising: bool) -> Floats:
    """Matrix (hours, knots) that turns steps of 0 or more, one per knot, into curve heights.

    A rising curve is the sum of the steps up to a knot, a falling one of those from it on.
    """
    hats = np.column_stack([np.interp(hours, knots, unit) for unit in np.eye(len(knots))])
    ones = np.ones((len(knots), len(knots)))
    heights: Floats = hats @ (np.tril(ones) if is_rising else np.triu(ones))
    return heights


def _fit_phase_weights(journeys: Journeys, observed: PhaseShares) -> dict[str, float]:
    """Weights, adding up to 1, that best turn observed phase shares into observed credits.

    For a touch, credit x (weights of the phases present) = weighted sum of its shares: linear in
    the weights. Weights that the journeys do not determine are drawn towards equal ones.
    """
    shares = np.column_stack([getattr(observed, phase) for phase in PHASES])
    present = np.column_stack(
        [_per_journey(shares[:, phase], journeys.conversion) > 0.5 for phase in range(len(PHASES))]
    )
    known = shares - observed.ihc[:, None] * present
    weak, firm = 1e-3, 1e3
    matrix = np.vstack([known, weak * np.eye(len(PHASES)), np.full((1, len(PHASES)), firm)])
    target = np.concatenate([np.zeros(len(known)), np.full(len(PHASES), weak / 3), [firm]])
    weights = np.maximum(nnls(matrix, target)[0], 1e-6)
    return dict(zip(PHASES, (weights / weights.sum()).tolist(), strict=True))


def _from_zero(curve: Curve, at_zero: float) -> Curve:
    """Make a curve start at 0 hours."""
    if curve.hours[0] == 0:
        return curve
    return Curve(np.append(0.0, curve.hours), np.append(at_zero, curve.memberships))


def _needs_pauses(lengths: Integers) -> None:
    if not np.any(lengths >= 2):
        raise ValueError("The curves need journeys of two or more touches, and there is none.")

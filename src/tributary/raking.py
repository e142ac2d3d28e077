"""Raking: credits of single journeys that add up to given totals per channel.

Some models (Markov) know what each channel earned in total but not in which journeys. Raking gives
each channel j a weight a_j > 0, so that a conversion whose journey has the distinct channels S
credits a_j / Σ_(i ∈ S) a_i to channel j, and the credits of a channel add up to its total. These
are the weights that iterative proportional fitting finds for a table of sets by channels with the
sets' conversions and the channels' totals as margins.

It can be impossible: whatever the weights, a channel earns all conversions of the journeys that no
other channel touched (the solo floor), and none of those that it did not touch; likewise for groups
of channels. Then the credits are the nearest possible ones.

Source of the method: Deming and Stephan (1940), "On a least squares adjustment of a sampled
frequency table when the expected marginal totals are known", Annals of Mathematical Statistics
11(4); the weights as the maximum of a concave likelihood after Hunter (2004), "MM algorithms for
generalized Bradley-Terry models", Annals of Statistics 32(1); the nearest possible totals after
Fujishige (1980), "Lexicographically optimal base of a polymatroid with respect to a weight vector",
Mathematics of Operations Research 5(2); proximal points after Rockafellar (1976), "Monotone
operators and the proximal point algorithm", SIAM Journal on Control and Optimization 14(5).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tributary.gram import gram_matrix
from tributary.shapley import EMPTY_SET

MET = 1e-9
"""A total is met if the credits miss it by at most this share of all conversions."""

BASELINE = "(baseline)"
"""What would have happened without any touch; it takes part in every journey."""

NEGLIGIBLE = 1e-12
"""Totals of at most this share of all conversions count as 0."""

LEVEL_GAP = 40.0
"""Channels whose logarithms of weights are this far apart share no conversion: e^-40 is 4e-18."""

LOWEST_LOG_WEIGHT = -690.0
"""Weights below e^-690 could not be told from 0 as floating-point numbers."""

COARSE, FINE = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6), (1e-9, 1e-13)
"""Stages of the proximal term: the coarse ones find the levels, the fine ones the weights."""

PRECISE, NEARLY_PRECISE = 1e-15, 1e-10
"""Shares of all conversions by which totals are missed where steps end for certain, or as soon as
they do not help any more."""

MOST_PLAIN_STEPS, LONGEST_PLAIN_STEP = 12, 5.0
"""More, or longer, Newton steps mean that the totals cannot be met, or only just."""

MOST_ITERATIONS, SHORTEST_STEP = 200, 1e-12
"""Bounds of a stage; some ten steps are usual."""

WIDEST_LOG_WEIGHTS = 500.0
"""Beyond this range of logarithms, weights are compared within each set: they might be nought."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RakedWeights:
    """Weights of `n` channels and what they do.

    Attributes
    ----------
    weights
        Shape (n,): positive, adding up to 1.
    credited
        Shape (n,): conversions that the weights credit to each channel.
    iterations
        Newton steps taken.
    """

    weights: FloatArray
    credited: FloatArray
    iterations: int


def rake(membership: BoolArray, conversions: FloatArray, targets: FloatArray) -> RakedWeights:
    """Find the weights whose credits reproduce the channels' totals, or come nearest to them.

    With θ = log a and n_S the conversions of set S, the weights minimise the convex function
    Σ_S n_S log Σ_(i ∈ S) e^θ_i - Σ_j t_j θ_j, whose gradient is credits minus totals. Newton steps
    with a vanishing proximal term (ε/2) Σ_j t_j (θ_j - previous θ_j)² find its minimum where it has
    one. Where it has none, θ of some channels runs away from that of others: channels fall into
    levels, a set's conversions go to its highest level alone, and within a level all totals are
    missed by the same factor. That is the possible outcome nearest to the totals, by
    Kullback-Leibler divergence in either direction as by Σ (credit - total)² / total.

    Parameters
    ----------
    membership
        Shape (sets, n): whether the set holds the channel; every set holds at least one.
    conversions
        Shape (sets,): conversions of each set, at least 0.
    targets
        Shape (n,): conversions wanted for each channel, at least 0. Where they do not add up to
        the conversions of the sets, the latter decide, and totals are missed in proportion.

    Raises
    ------
    ValueError
        If a set is empty, or conversions or targets are negative or not finite.
    """
    if not membership.any(axis=1).all():
        raise ValueError(EMPTY_SET)
    for name, amounts in (("Conversions", conversions), ("Totals", targets)):
        if not np.all(np.isfinite(amounts) & (amounts >= 0)):
            raise ValueError(f"{name} to rake are finite numbers of at least 0.")

    n = len(targets)
    sets, channels = np.nonzero(membership)
    table = _Table(sets, channels, conversions, n)
    wanted = targets > NEGLIGIBLE * conversions.sum()
    reachable = table.credits(np.zeros(n)) > 0
    fitted = np.flatnonzero(wanted & reachable)
    log_weights, iterations = np.zeros(n), 0
    if len(fitted):
        log_weights[fitted], iterations = _fit(table.of_channels(fitted), targets[fitted])
        # A channel that should get nothing takes part only in journeys of such channels alone.
        log_weights[~wanted] = log_weights[fitted].min() - LEVEL_GAP
        # One that should get something, but was in no converted journey, cannot.
        log_weights[wanted & ~reachable] = log_weights[fitted].max()
        log_weights = _compressed(log_weights)
    weights = np.exp(log_weights - log_weights.max(initial=-np.inf))
    return RakedWeights(weights / weights.sum(), table.credits(log_weights), iterations)


class _Table:
    """The table of sets by channels, as the places of its `cells`, ordered by set."""

    def __init__(
        self, sets: IntArray, channels: IntArray, conversions: FloatArray, channel_count: int
    ) -> None:
        self._channels, self._conversions, self._n = channels, conversions, channel_count
        self._sets, self._first_of_set = sets, np.flatnonzero(np.diff(sets, prepend=-1))
        self._row = np.repeat(
            np.arange(len(self._first_of_set)), np.diff(self._first_of_set, append=len(sets))
        )

    def of_channels(self, channels: IntArray) -> "_Table":
        """Keep some channels, and the sets that hold any of them."""
        place = np.full(self._n, -1)
        place[channels] = np.arange(len(channels))
        kept = place[self._channels] >= 0
        return _Table(
            self._sets[kept], place[self._channels[kept]], self._conversions, len(channels)
        )

    def of_highest(self, levels: IntArray) -> "_Table":
        """Keep of each set the channels of its highest level."""
        level = levels[self._channels]
        kept = level == self._highest(level)[self._row]
        return _Table(self._sets[kept], self._channels[kept], self._conversions, self._n)

    def shares(self, log_weights: FloatArray) -> FloatArray:
        """Shape (cells,): the share of the set that goes to the cell's channel."""
        highest: Any = log_weights.max(initial=-np.inf)
        if highest - log_weights.min(initial=np.inf) <= WIDEST_LOG_WEIGHTS:
            shares: FloatArray = np.exp(log_weights - highest)[self._channels]
        else:
            logs = log_weights[self._channels]
            shares = np.exp(logs - self._highest(logs)[self._row])
        sums = np.add.reduceat(shares, self._first_of_set) if len(shares) else shares
        return shares / sums[self._row]

    def credits(self, log_weights: FloatArray) -> FloatArray:
        """Shape (n,): conversions credited to each channel."""
        return self._by_channel(self.shares(log_weights))

    def slope(self, log_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Credits, and their derivatives, shape (n, n), in the logarithms of the weights."""
        shares = self.shares(log_weights)
        credits = self._by_channel(shares)
        of_sets = sparse.csr_array(
            (shares, self._channels, np.append(self._first_of_set, len(shares))),
            shape=(len(self._first_of_set), self._n),
        )
        conversions = self._conversions[self._sets[self._first_of_set]]
        return credits, np.diag(credits) - gram_matrix(of_sets, conversions)

    def _by_channel(self, shares: FloatArray) -> FloatArray:
        conversions = shares * self._conversions[self._sets]
        return np.bincount(self._channels, weights=conversions, minlength=self._n).astype(float)

    def _highest(self, cells: Any) -> Any:
        return np.maximum.reduceat(cells, self._first_of_set) if len(cells) else cells


def _fit(table: _Table, targets: FloatArray) -> tuple[FloatArray, int]:
    """Logarithms of the weights, and Newton steps; every channel has a target and conversions."""
    equal = table.credits(np.zeros(len(targets)))
    targets = targets * (equal.sum() / targets.sum())
    # One step of iterative proportional fitting: at once the solution where credits are equal.
    centre = np.log(targets / equal)
    log_weights, iterations, is_met = _meet(table, targets, centre)
    if is_met:
        return log_weights, iterations

    log_weights = centre
    for proximal in COARSE:
        log_weights, steps = _minimise(table, targets, log_weights, centre, proximal)
        iterations += steps
    for proximal in FINE:
        levels = _levels(log_weights)
        table = table.of_highest(levels)
        got = np.bincount(levels, weights=table.credits(log_weights))
        targets = targets * (got / np.bincount(levels, weights=targets))[levels]
        log_weights = centre = _compressed(log_weights)
        log_weights, steps = _minimise(table, targets, log_weights, centre, proximal)
        iterations += steps
    return log_weights, iterations


def _meet(
    table: _Table, targets: FloatArray, log_weights: FloatArray
) -> tuple[FloatArray, int, bool]:
    """Try plain Newton steps: few are enough where the totals can be met with room to spare."""
    before = np.inf
    for iteration in range(MOST_PLAIN_STEPS):
        credits, derivatives = table.slope(log_weights)
        gradient = credits - targets
        missing = float(np.abs(gradient).max()) / targets.sum()
        if _is_precise(missing, before):
            return log_weights, iteration, True
        before = missing
        step = _newton_step(gradient, derivatives, targets, FINE[-1])
        if np.abs(step).max() > LONGEST_PLAIN_STEP:
            return log_weights, iteration, False
        log_weights = log_weights + step
    return log_weights, MOST_PLAIN_STEPS, False


def _minimise(
    table: _Table,
    targets: FloatArray,
    log_weights: FloatArray,
    centre: FloatArray,
    proximal: float,
) -> tuple[FloatArray, int]:
    """Minimise the objective of `rake` with a proximal term around `centre`, by damped steps."""
    before = np.inf
    for iteration in range(MOST_ITERATIONS):
        credits, derivatives = table.slope(log_weights)
        gradient = credits - targets + proximal * targets * (log_weights - centre)
        missing = float(np.abs(gradient).max()) / targets.sum()
        if _is_precise(missing, before):
            return log_weights, iteration
        before = missing
        step = _newton_step(gradient, derivatives, targets, proximal)

        length = 1.0
        shortest = SHORTEST_STEP * (1 + np.abs(log_weights).max())
        while length * np.abs(step).max() > shortest:
            moved = log_weights + length * step
            ahead = table.credits(moved) - targets + proximal * targets * (moved - centre)
            # The objective is convex: it has fallen where its slope is hardly upward yet.
            if ahead @ step <= 0.1 * abs(gradient @ step):
                break
            length /= 2
        else:
            return log_weights, iteration
        log_weights = moved
    return log_weights, MOST_ITERATIONS


def _is_precise(missing: float, before: float) -> bool:
    """Tell whether steps have ended: from some size on, rounding errors get no smaller."""
    return missing <= PRECISE or before / 2 <= missing <= NEARLY_PRECISE


def _newton_step(
    gradient: FloatArray, derivatives: FloatArray, targets: FloatArray, proximal: float
) -> FloatArray:
    # Scaled by the targets, so that small channels are solved as precisely as large ones. A common
    # factor of all weights changes nothing: the last term takes it out.
    scale = np.sqrt(targets)
    curvature = derivatives / np.outer(scale, scale) + proximal * np.eye(len(scale))
    curvature += np.outer(scale, scale) / targets.sum()
    return -np.linalg.solve(curvature, gradient / scale) / scale


def _levels(log_weights: FloatArray) -> IntArray:
    """Count levels from the lowest; channels nearer than the gap are of one level."""
    order = np.argsort(log_weights, kind="stable")
    levels = np.empty(len(order), np.int64)
    levels[order] = np.cumsum(np.diff(log_weights[order], prepend=-np.inf) > LEVEL_GAP) - 1
    return levels


def _compressed(log_weights: FloatArray) -> FloatArray:
    """Close gaps beyond that between levels; narrower still where weights could not be told from 0.

    Changes no credit, and keeps differences within a level exact.
    """
    order = np.argsort(log_weights, kind="stable")
    gaps = np.minimum(np.diff(log_weights[order], prepend=log_weights[order[0]]), LEVEL_GAP)
    wide = gaps >= LEVEL_GAP
    room = -LOWEST_LOG_WEIGHT - gaps[~wide].sum()
    gaps[wide] = min(LEVEL_GAP, room / max(wide.sum(), 1))
    compressed = np.empty_like(log_weights)
    compressed[order] = np.cumsum(gaps)
    return compressed


CHANNEL_WEIGHTS = pa.schema(
    [
        pa.field("attribution_model", pa.string(), nullable=False),
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("target_conversions", pa.float64(), nullable=False),
        pa.field("credited_conversions", pa.float64(), nullable=False),
        pa.field("solo_conversions", pa.float64(), nullable=False),
        pa.field("is_met", pa.bool_(), nullable=False),
        pa.field("iterations", pa.int32(), nullable=False),
    ]
)


def channel_weights(channel_sets: pa.Table, channel_totals: pa.Table) -> pa.Table:
    """Find the weights with which the credits of journeys add up to each model's channel totals.

    Parameters
    ----------
    channel_sets
        Columns conversion_type (text), channel_set (list of text: the distinct channels of a
        journey) and conversions (count); any further columns and any number of rows per set.
    channel_totals
        Columns attribution_model, conversion_type, channel (text) and conversions; any further
        columns; rows of one channel are added up.

    Returns
    -------
    pyarrow.Table
        Schema `CHANNEL_WEIGHTS`, one row per model, conversion type and channel that has a total or
        is in a set, sorted. In a journey with the distinct channels S, channel j is credited with
        `weight` / the sum of the weights in S. `target_conversions` is the total to meet,
        `credited_conversions` what these weights credit over all sets, `solo_conversions` the
        conversions that no other channel touched: the least a channel can be credited with.
        A model whose totals have a `(baseline)` has it take part in every journey. `is_met` says
        whether the credits miss the total by at most `MET` of the conversion type's conversions.

    Raises
    ------
    ValueError
        If a set is empty, or conversions are negative or missing.
    """
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(channel_totals["conversion_type"].unique().to_pylist()):
        totals = channel_totals.filter(pc.equal(channel_totals["conversion_type"], conversion_type))
        sets = channel_sets.filter(pc.equal(channel_sets["conversion_type"], conversion_type))
        of_models = totals.group_by(["attribution_model", "channel"]).aggregate(
            [("conversions", "sum")]
        )
        named = pc.list_flatten(sets["channel_set"]).unique().to_pylist()
        channels = sorted({*named, *of_models["channel"].to_pylist()})
        membership, conversions = _distinct_sets(sets, channels)
        tolerance = MET * conversions.sum()
        for model in sorted(of_models["attribution_model"].unique().to_pylist()):
            of_model = of_models.filter(pc.equal(of_models["attribution_model"], model))
            target = dict(
                zip(
                    of_model["channel"].to_pylist(),
                    of_model["conversions_sum"].cast(pa.float64()).to_pylist(),
                    strict=True,
                )
            )
            players = [name for name in channels if name != BASELINE or BASELINE in target]
            members = membership[:, [channels.index(name) for name in players]]
            if BASELINE in target:
                members[:, players.index(BASELINE)] = True
            solo_conversions = _solo_conversions(members, conversions)
            targets = np.array([target.get(name, 0.0) for name in players], np.float64)
            # What is left of a total may be a rounding error below 0.
            rounding = NEGLIGIBLE * conversions.sum()
            targets[(targets < 0) & (targets >= -rounding)] = 0.0
            raked = rake(members, conversions, targets)
            rows += [
                {
                    "attribution_model": model,
                    "conversion_type": conversion_type,
                    "channel": channel,
                    "weight": raked.weights[place],
                    "target_conversions": targets[place],
                    "credited_conversions": raked.credited[place],
                    "solo_conversions": solo_conversions[place],
                    "is_met": abs(raked.credited[place] - targets[place]) <= tolerance,
                    "iterations": raked.iterations,
                }
                for place, channel in enumerate(players)
            ]
    rows.sort(key=lambda row: (row["attribution_model"], row["conversion_type"], row["channel"]))
    return pa.Table.from_pylist(rows, schema=CHANNEL_WEIGHTS)


def _solo_conversions(members: BoolArray, conversions: FloatArray) -> FloatArray:
    """Conversions of the sets of one channel, shape (channels,)."""
    solo = members.sum(axis=1) == 1
    return np.asarray(conversions[solo] @ members[solo], np.float64)


def _distinct_sets(table: pa.Table, channels: list[str]) -> tuple[BoolArray, FloatArray]:
    """Distinct sets that converted, shape (sets, channels), and the conversions of each."""
    sets = table["channel_set"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(sets), 0).to_numpy(zero_copy_only=False)
    if not lengths.all():
        raise ValueError(EMPTY_SET)
    amounts = table["conversions"].cast(pa.float64()).to_numpy()
    # The others have nothing to credit, and are most.
    has_converted = amounts != 0
    sets, lengths = sets.filter(pa.array(has_converted)), lengths[has_converted]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = pc.index_in(sets.flatten(), pa.array(channels, pa.string()))
    places = places.to_numpy(zero_copy_only=False).astype(np.int64)
    # A set is a row of bits: sorting these is the quickest way to find equal sets.
    bits = np.zeros((len(lengths), (len(channels) + 7) // 8), np.uint8)
    np.bitwise_or.at(bits, (rows, places >> 3), np.left_shift(1, places & 7).astype(np.uint8))
    distinct, which = np.unique(bits, axis=0, return_inverse=True)
    membership = np.unpackbits(distinct, axis=1, count=len(channels), bitorder="little")
    conversions = np.bincount(
        which.ravel(), weights=amounts[has_converted], minlength=len(distinct)
    )
    return membership.astype(bool), conversions.astype(float)

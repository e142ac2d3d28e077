"""Markov attribution of any order: exact removal effects of an absorbing chain.

A path is a walk from the start over channels into conversion or null (an open journey). In a chain
of order k the next step depends on the last k channels, so a state is a window of up to k channels.
Removing a channel sends every step into a state that contains it to null; its removal effect is the
share of the conversion probability that is lost. Nothing is simulated: small chains are inverted
once, large ones are walked for all channels together until nothing is left under way.

Source of the method: Anderl, Becker, von Wangenheim, Schumann (2016), "Mapping the customer
journey", International Journal of Research in Marketing 33(3); absorption probabilities after
Kemeny and Snell (1960), "Finite Markov Chains", chapter III; smoothing after Witten and Bell
(1991), "The zero-frequency problem", IEEE Transactions on Information Theory 37(4); random-group
variance after Wolter (2007), "Introduction to Variance Estimation", chapter 2.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.sparse import csgraph
from scipy.special import stdtrit

START = "(start)"
CONVERSION = "(conversion)"
NULL = "(null)"

NEGLIGIBLE = 1e-12
"""Removal effects below this are rounding noise and count as 0."""

MOST_STATES_INVERTED = 2_000
"""Chains of more states are solved by a series instead of an inverse."""

SERIES_TOLERANCE = 1e-13
"""A series ends where what is still to come is at most this share of the total, less than noise."""

MOST_ITERATIONS = 10_000
"""A series that has not ended by then is given up."""

FOLDS = 5
"""Parts of the persons that are held out in turn to compare orders."""

CONFIDENCE = 0.95
"""Coverage of the published intervals."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TransitionCounts:
    """Counted steps of paths over `m` states, windows of up to `order` of the `n` channels.

    Attributes
    ----------
    channels
        The `n` channel names, sorted.
    order
        How many of the last channels a state remembers.
    states
        Shape (m, order): places in `channels` of each state's channels, oldest first; -1 pads
        states near the start, whose windows are shorter. With order 1 states and channels are the
        same.
    starts
        Shape (m,): paths that start in the state.
    steps
        Sparse, shape (m, m): steps from the row's state to the column's.
    conversions
        Shape (m,): paths that convert right after the state.
    nulls
        Shape (m,): paths that end without conversion right after the state.
    revenue
        Shape (m,): revenue of the paths that convert right after the state, in currency units.
    """

    channels: tuple[str, ...]
    order: int
    states: IntArray
    starts: FloatArray
    steps: Any
    conversions: FloatArray
    nulls: FloatArray
    revenue: FloatArray


@dataclass(frozen=True)
class RemovalEffects:
    """What is lost without each channel.

    Attributes
    ----------
    channels
        The channel names, in the order of every other array.
    conversion_probability
        Probability in [0, 1] that a path converts.
    revenue_per_path
        Expected revenue of a path, in currency units.
    conversion
        Shape (n,): share in [0, 1] of the conversion probability lost when the channel is removed.
    revenue
        Shape (n,): share of the expected revenue lost when the channel is removed; in [0, 1] where
        no revenue is negative. All 0 where the expected revenue is 0.
    method
        "inverse" or "series".
    iterations
        Steps of the series after which no path was under way any more; None for an inverse.
    """

    channels: tuple[str, ...]
    conversion_probability: float
    revenue_per_path: float
    conversion: FloatArray
    revenue: FloatArray
    method: str
    iterations: int | None


class LostWithoutSet(NamedTuple):
    """Shares of the conversion probability and of the expected revenue lost without some channels.

    Both in [0, 1] where no revenue is negative; 0 where the whole is 0.
    """

    conversion: float
    revenue: float


# Counting


@dataclass(frozen=True)
class _Steps:
    """Steps of one conversion type as numbers, one row per person group and distinct step.

    A window of channels is the number whose digits, to the base of the channels plus one, are the
    channels' places plus one, latest last; so the start is 0, and the last k channels of any window
    are the remainder by base^k. Next states 0 … n-1 are channels, n is conversion and n + 1 null.
    """

    channels: tuple[str, ...]
    longest: int
    windows: IntArray
    next_states: IntArray
    groups: IntArray
    group_count: int
    transitions: FloatArray
    revenue: FloatArray

    @property
    def base(self) -> int:
        return len(self.channels) + 1


def count_transitions(
    paths: Iterable[Sequence[str]],
    conversions: Sequence[float],
    nulls: Sequence[float],
    revenue: Sequence[float],
    order: int = 1,
) -> TransitionCounts:
    """Count the steps of aggregated paths.

    Parameters
    ----------
    paths
        One sequence of channel names per path, in order of time, at least one channel each.
    conversions, nulls
        How often each path converted, and ended without conversion.
    revenue
        Total revenue of each path's conversions, in currency units.
    order
        How many of the last channels the next step depends on, from 1.

    Raises
    ------
    ValueError
        If a path is empty, the sequences differ in length or the order is below 1.
    """
    _check_order(order)
    counted: dict[tuple[tuple[str, ...], str], list[float]] = {}

    def add(window: tuple[str, ...], to_state: str, transitions: float, value: float = 0.0) -> None:
        cell = counted.setdefault((window, to_state), [0.0, 0.0])
        cell[0] += transitions
        cell[1] += value

    for path, converted, ended, value in zip(paths, conversions, nulls, revenue, strict=True):
        if not path:
            raise ValueError("A path needs at least one channel.")
        add((START,), path[0], converted + ended)
        for place in range(1, len(path)):
            add(tuple(path[max(place - order, 0) : place]), path[place], converted + ended)
        last = tuple(path[-order:])
        add(last, CONVERSION, converted, value)
        add(last, NULL, ended)

    return transition_counts(
        [window for window, _ in counted],
        [to_state for _, to_state in counted],
        [cell[0] for cell in counted.values()],
        [cell[1] for cell in counted.values()],
        order,
    )


def transition_counts(
    from_states: Sequence[Sequence[str]],
    to_states: Sequence[str],
    transitions: npt.ArrayLike,
    revenue: npt.ArrayLike,
    order: int = 1,
) -> TransitionCounts:
    """Arrange counted steps, given as rows, into arrays; rows of one step are added up.

    Parameters
    ----------
    from_states
        The last channels of each row's path before the step, oldest first: at least `order` of
        them, fewer only where the path was shorter; `[START]` for the first step.
    to_states
        The state after the step: a channel, `CONVERSION` or `NULL`.
    transitions
        Shape (rows,): how often the step was taken.
    revenue
        Shape (rows,): revenue carried by the step, in currency units; counts on steps into
        conversion only.
    order
        How many of the last channels the next step depends on, from 1.

    Raises
    ------
    ValueError
        If a step leads from the start into conversion or null (a path without a channel), out of
        conversion or null, or into the start; if the order is below 1, or so high for so many
        channels that windows cannot be numbered.
    """
    _check_order(order)
    if any(isinstance(window, str) for window in from_states):
        raise ValueError("The states before a step are a list of channels, not a text.")
    table = pa.table(
        {
            "from_states": pa.array([list(window) for window in from_states], _WINDOWS),
            "to_state": pa.array(to_states, pa.string()),
            "transitions": np.asarray(transitions, dtype=np.float64),
            "revenue": np.asarray(revenue, dtype=np.float64),
        }
    )
    return _arrange(_read_steps(table, order), order)[0]


def _check_order(order: int) -> None:
    if order < 1:
        raise ValueError(f"The order of a chain is at least 1, not {order}.")


_WINDOWS = pa.list_(pa.string())


def _read_steps(table: pa.Table, longest: int) -> _Steps:
    """Read rows of steps as numbers; windows are cut to `longest` channels."""
    windows = pc.cast(table["from_states"].combine_chunks(), _WINDOWS)
    lengths = pc.list_value_length(windows).to_numpy(zero_copy_only=False)
    if windows.null_count or np.any(lengths == 0):
        raise ValueError(f"A step needs a state before it; the first step has ['{START}'].")
    before, before_names = _dictionary(windows.flatten())
    after, after_names = _dictionary(table["to_state"].combine_chunks())

    channels = tuple(sorted({*before_names, *after_names} - {START, CONVERSION, NULL}))
    n = len(channels)
    place = {channel: index for index, channel in enumerate(channels)}
    try:
        digits = np.array([{**place, START: -1}[name] for name in before_names], np.int64) + 1
        columns = np.array([{**place, CONVERSION: n, NULL: n + 1}[name] for name in after_names])
    except KeyError as error:
        raise ValueError(f"No step can lead this way through the state {error}.") from None
    before, next_states = digits[before], columns.astype(np.int64)[after]
    if np.any((before == 0) & (np.repeat(lengths, lengths) > 1)):
        raise ValueError(f"No step can lead this way through the state '{START}'.")

    if (n + 2) ** (longest + 1) >= 2**63:
        raise ValueError(
            f"{n} channels are too many for windows of {longest}; choose a lower order."
        )
    codes = np.zeros(len(lengths), np.int64)
    last = np.cumsum(lengths) - 1
    for back in range(longest):
        reaches = lengths > back
        codes[reaches] += before[last[reaches] - back] * (n + 1) ** back
    if np.any((codes == 0) & (next_states >= n)):
        raise ValueError("A path needs at least one channel.")

    groups, group_count = np.zeros(len(codes), np.int64), 1
    if "person_group" in table.column_names:
        if table["person_group"].null_count:
            raise ValueError("person_group is empty in some rows; every person is in one group.")
        names, groups = np.unique(table["person_group"].to_numpy(), return_inverse=True)
        group_count = len(names)

    # Added up before anything becomes a float: sums of exact amounts do not depend on row order.
    steps, step = np.unique(codes * (n + 2) + next_states, return_inverse=True)
    added = (
        pa.table(
            {
                "key": groups * len(steps) + step,
                "transitions": table["transitions"],
                "revenue": table["revenue"],
            }
        )
        .group_by("key", use_threads=False)
        .aggregate([("transitions", "sum"), ("revenue", "sum")])
    )
    keys = added["key"].to_numpy()
    by_key = np.argsort(keys)
    groups, step = np.divmod(keys[by_key], max(len(steps), 1))
    windows_of_rows, next_of_rows = np.divmod(steps[step], n + 2)
    return _Steps(
        channels=channels,
        longest=longest,
        windows=windows_of_rows,
        next_states=next_of_rows,
        groups=groups,
        group_count=group_count,
        transitions=added["transitions_sum"].cast(pa.float64()).to_numpy()[by_key],
        revenue=added["revenue_sum"].cast(pa.float64()).to_numpy()[by_key],
    )


def _dictionary(texts: pa.Array) -> tuple[IntArray, list[str]]:
    """Places of texts among their distinct ones, and those."""
    if texts.null_count:
        raise ValueError("The name of a state is missing.")
    encoded = texts.dictionary_encode()
    places = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return places, encoded.dictionary.to_pylist()


def _arrange(steps: _Steps, order: int) -> tuple[TransitionCounts, IntArray, IntArray]:
    """Count the steps between states of an order; also each row's places before and after.

    Places are 0 … m-1 for states; before a step m is the start, after it m is conversion and m + 1
    null.
    """
    n, base = len(steps.channels), steps.base
    before = steps.windows % base**order
    inside = steps.next_states < n
    after = np.where(inside, before % base ** (order - 1) * base + steps.next_states + 1, 0)
    codes = np.unique(np.concatenate([before, after]))
    codes = codes[codes > 0]
    m = len(codes)
    from_place = np.where(before > 0, np.searchsorted(codes, before), m)
    to_place = np.where(inside, np.searchsorted(codes, after), m + steps.next_states - n)

    counts = sparse.coo_array(
        (steps.transitions, (from_place, to_place)), shape=(m + 1, m + 2)
    ).tocsr()
    ends = counts[:m, m:].toarray()
    converts = steps.next_states == n
    revenue = np.bincount(from_place[converts], weights=steps.revenue[converts], minlength=m)
    return (
        TransitionCounts(
            channels=steps.channels,
            order=order,
            states=codes[:, None] // base ** np.arange(order)[::-1] % base - 1,
            starts=counts[[m], :m].toarray()[0],
            steps=counts[:m, :m],
            conversions=ends[:, 0],
            nulls=ends[:, 1],
            revenue=revenue[:m].astype(np.float64),
        ),
        from_place,
        to_place,
    )


# Removal effects


class _Chain(Protocol):
    """A chain that can be asked what is left of it without some states.

    `removed` has shape (m, sets) and marks the states of each set; so has the result, which is 0 at
    them. `gain` has shape (m,): what a visit of a state gains.
    """

    method: str
    iterations: int | None

    def visits_without(self, removed: BoolArray) -> FloatArray:
        """Visits of each state that a path is expected to make."""

    def expected_without(self, removed: BoolArray, gain: FloatArray) -> FloatArray:
        """Gain that is expected from each state on."""


class _InvertedChain(_Chain):
    """With M = (I - Q)^-1, visits u = s M and expected gain b = M r.

    Without the states J these are u - u_J M_JJ^-1 M_J· and b - M_·J M_JJ^-1 b_J; for a single state
    M_JJ is a number.
    """

    method = "inverse"
    iterations = None

    def __init__(self, steps: Any, starts: FloatArray) -> None:
        self._inverse = np.linalg.inv(np.eye(len(starts)) - steps.toarray())
        self._visits = starts @ self._inverse

    def visits_without(self, removed: BoolArray) -> FloatArray:
        left = np.empty(removed.shape)
        for index, (places, block) in enumerate(self._blocks(removed)):
            weights = np.linalg.solve(block.T, self._visits[places])
            left[:, index] = self._visits - weights @ self._inverse[places]
        return np.where(removed, 0.0, left)

    def expected_without(self, removed: BoolArray, gain: FloatArray) -> FloatArray:
        left = np.empty(removed.shape)
        expected = self._inverse @ gain
        for index, (places, block) in enumerate(self._blocks(removed)):
            weights = np.linalg.solve(block, expected[places])
            left[:, index] = expected - self._inverse[:, places] @ weights
        return np.where(removed, 0.0, left)

    def _blocks(self, removed: BoolArray) -> Iterator[tuple[IntArray, FloatArray]]:
        for column in removed.T:
            places = np.flatnonzero(column)
            yield places, self._inverse[np.ix_(places, places)]


class _WalkedChain(_Chain):
    """Neumann series, for all sets at once: D ← mask ∘ (A D), X ← X + D, until D is gone.

    Steps from a state to itself are taken out first, which changes neither the expected gains nor
    which states are visited: repeats of a channel would slow the series down most.
    """

    method = "series"
    iterations: int | None = None

    def __init__(self, steps: Any, starts: FloatArray, converting: float) -> None:
        """Prepare the walk; `converting` is the share of the paths that convert."""
        self._leaves = 1 - steps.diagonal()
        moves = steps.tocoo()
        between = moves.row != moves.col
        self._forward = sparse.csr_array(
            (
                (moves.data / self._leaves[moves.row])[between],
                (moves.row[between], moves.col[between]),
            ),
            shape=steps.shape,
        )
        self._backward = self._forward.T.tocsr()
        self._starts = starts
        self._converting = converting

    def visits_without(self, removed: BoolArray) -> FloatArray:
        # Every path under way converts at most once: what is left of the sum bounds the error.
        bound = SERIES_TOLERANCE * (self._converting or 1.0)
        added = np.where(removed, 0.0, self._starts[:, None])
        total = added.copy()
        for iteration in range(1, MOST_ITERATIONS + 1):
            added = np.where(removed, 0.0, self._backward @ added)
            total += added
            under_way = float(added.sum(axis=0).max(initial=0.0))
            if under_way <= bound:
                self.iterations = max(iteration, self.iterations or 0)
                visits: FloatArray = total / self._leaves[:, None]
                return visits
        raise _not_converged(under_way)

    def expected_without(self, removed: BoolArray, gain: FloatArray) -> FloatArray:
        added = np.where(removed, 0.0, (gain / self._leaves)[:, None])
        total = added.copy()
        for _ in range(MOST_ITERATIONS):
            added = np.where(removed, 0.0, self._forward @ added)
            total += added
            change = float(np.abs(added).max(initial=0.0))
            if change <= SERIES_TOLERANCE * float(np.abs(total).max(initial=0.0)):
                return total
        raise _not_converged(change)


def _not_converged(left: float) -> ArithmeticError:
    return ArithmeticError(
        f"After {MOST_ITERATIONS:,} steps a share {left:.2g} of the paths is still under way: "
        "some channels are hardly ever left. Choose a lower order."
    )


def _chain(counts: TransitionCounts) -> _Chain:
    leaving, paths = _leaving(counts), counts.starts.sum()
    steps = sparse.diags_array(1 / leaving) @ counts.steps
    starts = counts.starts / (paths if paths > 0 else 1.0)
    _check_that_paths_end(counts)
    if len(starts) <= MOST_STATES_INVERTED:
        return _InvertedChain(steps, starts)
    return _WalkedChain(steps.tocsr(), starts, counts.conversions.sum() / (paths or 1.0))


def _leaving(counts: TransitionCounts) -> FloatArray:
    total: FloatArray = counts.steps.sum(axis=1) + counts.conversions + counts.nulls
    # A state that is never left was never visited; any row total serves.
    return np.where(total > 0, total, 1.0)


def _check_that_paths_end(counts: TransitionCounts) -> None:
    m = len(counts.starts)
    if m == 0:
        return
    ending = (counts.conversions + counts.nulls > 0) | (counts.steps.sum(axis=1) == 0)
    back = sparse.block_array(
        [
            [counts.steps.T, sparse.csr_array((m, 1))],
            [sparse.csr_array(ending[None, :].astype(float)), None],
        ],
        format="csr",
    )
    back.eliminate_zeros()
    reached = csgraph.breadth_first_order(back, m, return_predecessors=False)
    if len(reached) <= m:
        raise ValueError("Some channels lead only to each other: their paths never end.")


def removal_effects(counts: TransitionCounts) -> RemovalEffects:
    """Compute the exact removal effect of every channel.

    With Q the step probabilities between states, M = (I - Q)^-1, b = M r the probability to convert
    from each state and u = s M the expected visits, the conversion probability P = s b loses
    u_J M_JJ^-1 b_J without the states J that contain the channel; with order 1 that is
    (u_j / M_jj) b_j. Up to `MOST_STATES_INVERTED` states this costs one inverse, O(m^3), for all
    channels; larger chains are solved by a series over the sparse steps, whose error is at most
    `SERIES_TOLERANCE` of P. Expected revenue is treated likewise.

    Paths need not be aggregated. With order 1, repeats of a channel change nothing; a window of
    more channels is filled by repeats and forgets what was before them.

    Raises
    ------
    ValueError
        If some channels lead only to each other: steps counted from paths that end never do.
    ArithmeticError
        If the series has not converged after `MOST_ITERATIONS` steps.
    """
    sets = [np.array([channel]) for channel in range(len(counts.channels))]
    return _effects(counts, _remove(counts, sets))


def removal_effect_of_set(counts: TransitionCounts, channels: Collection[str]) -> LostWithoutSet:
    """Compute what is lost without a pair, or any set, of channels at once.

    For conversions, less than the sum of the channels' own removal effects where they share paths,
    and 1 for all channels together where anything converts at all.

    Raises
    ------
    ValueError
        If a channel is not among those counted.
    ValueError, ArithmeticError
        As `removal_effects`.
    """
    unknown = sorted(set(channels) - set(counts.channels))
    if unknown:
        raise ValueError(f"No path has these channels: {', '.join(unknown)}.")
    places = np.array([counts.channels.index(channel) for channel in set(channels)], np.int64)
    effects = _effects(counts, _remove(counts, [places]))
    return LostWithoutSet(float(effects.conversion[0]), float(effects.revenue[0]))


@dataclass(frozen=True)
class _Removal:
    """Gains of a path without each set of channels, the empty set first, and their influences.

    `gains` has shape (2, 1 + sets), conversions and revenue; `influences`, where there are person
    groups, (2, groups, 1 + sets): the gains' derivatives in the weight of each group's journeys.
    """

    gains: FloatArray
    influences: FloatArray | None
    method: str
    iterations: int | None


class _GroupedCounts:
    """The steps of each person group, for influences."""

    def __init__(
        self, steps: _Steps, counts: TransitionCounts, from_place: IntArray, to_place: IntArray
    ) -> None:
        m = len(counts.starts)
        # One row per group and state before the step.
        pairs, pair = np.unique(steps.groups * (m + 1) + from_place, return_inverse=True)
        group, self._places = np.divmod(pairs, m + 1)
        self._first_of_group = np.flatnonzero(np.diff(group, prepend=-1))
        steps_out = sparse.coo_array(
            (steps.transitions, (pair, to_place)), shape=(len(pairs), m + 2)
        ).tocsr()
        self._steps = steps_out[:, :m]
        self._leaving = steps_out.sum(axis=1)
        converts = to_place == m
        self._gains = (
            steps_out[:, [m]].toarray()[:, 0],
            np.bincount(pair[converts], weights=steps.revenue[converts], minlength=len(pairs)),
        )
        self._row_totals = np.append(_leaving(counts), counts.starts.sum() or 1.0)

    def influence(
        self, kind: int, visits: FloatArray, expected: FloatArray, gain: FloatArray
    ) -> FloatArray:
        """Shape (groups, sets): the sum of a group's steps a → x of (u_a / R_a)(b_x - b_a)."""
        visits = np.vstack([visits, np.ones_like(gain)]) / self._row_totals[:, None]
        from_here = np.vstack([expected, gain])[self._places]
        surprise = self._steps @ expected + self._gains[kind][:, None]
        surprise -= self._leaving[:, None] * from_here
        return np.add.reduceat(surprise * visits[self._places], self._first_of_group, axis=0)


def _remove(
    counts: TransitionCounts, sets: Sequence[IntArray], groups: _GroupedCounts | None = None
) -> _Removal:
    """Solve the chain without each set of channels."""
    m = len(counts.starts)
    chain = _chain(counts)
    per_visit = np.stack([counts.conversions, counts.revenue]) / _leaving(counts)
    empty = np.zeros(0, np.int64)
    all_sets = [empty, *sets]
    # So many sets at a time that arrays over states and sets stay small.
    at_once = max(1, 4_000_000 // max(m, 1))
    gains, influences = [], []
    for first in range(0, len(all_sets), at_once):
        removed = np.stack(
            [
                np.isin(counts.states, places).any(axis=1)
                for places in all_sets[first : first + at_once]
            ],
            axis=1,
        )
        visits = chain.visits_without(removed)
        gains.append(per_visit @ visits)
        if groups is not None:
            influences.append(
                [
                    groups.influence(
                        kind,
                        visits,
                        chain.expected_without(removed, per_visit[kind]),
                        gains[-1][kind],
                    )
                    for kind in (0, 1)
                ]
            )
    return _Removal(
        gains=np.concatenate(gains, axis=1),
        influences=np.concatenate(influences, axis=2) if groups is not None else None,
        method=chain.method,
        iterations=chain.iterations,
    )


def _effects(counts: TransitionCounts, removal: _Removal) -> RemovalEffects:
    totals, effects = [], []
    for gains, of_states in zip(removal.gains, (counts.conversions, counts.revenue), strict=True):
        total = float(gains[0])
        largest = float(np.abs(of_states / _leaving(counts)).max(initial=0.0))
        if abs(total) < NEGLIGIBLE * max(1.0, largest):
            total, effect = 0.0, np.zeros(len(gains) - 1)
        else:
            effect = 1 - gains[1:] / total
        totals.append(total)
        effects.append(np.where(np.abs(effect) < NEGLIGIBLE, 0.0, effect))
    return RemovalEffects(
        channels=counts.channels,
        conversion_probability=totals[0],
        revenue_per_path=totals[1],
        conversion=effects[0],
        revenue=effects[1],
        method=removal.method,
        iterations=removal.iterations,
    )


def channel_shares(effects: FloatArray) -> FloatArray:
    """Shares in proportion to removal effects: shape (n,), adding up to 1, or all 0."""
    total = effects.sum()
    return effects / total if abs(total) > NEGLIGIBLE else np.zeros_like(effects)


def _share_errors(effects: FloatArray, gains: FloatArray, influences: FloatArray) -> FloatArray:
    """Shape (n,): standard errors of the channels' shares of removal effects.

    The delta method carries the influences on the gains P and P(j) to RE_j = 1 - P(j) / P and to
    the shares; the variance of a sum of G independent groups is G / (G - 1) times the squared
    deviations of the groups' parts.
    """
    of_total, of_rest = influences[:, :1], influences[:, 1:]
    of_effects = -(of_rest * gains[0] - gains[1:] * of_total) / gains[0] ** 2
    of_shares = of_effects - channel_shares(effects) * of_effects.sum(axis=1, keepdims=True)
    of_shares /= effects.sum()
    return np.sqrt(_variance_of_sum(of_shares))


def _variance_of_sum(parts: FloatArray) -> FloatArray:
    """Variance of the sum over the first axis, by random groups."""
    groups = len(parts)
    squares: FloatArray = ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)
    return squares * groups / (groups - 1)


# Choice of the order


def _held_out_log_likelihoods(steps: _Steps) -> FloatArray | None:
    """Shape (orders, groups): log-likelihood of each group's steps by the other folds' counts.

    The probability of a step is interpolated with that of the next lower order, after Witten and
    Bell: p_k = (count + kinds * p_(k-1)) / (total + kinds), where kinds is the number of distinct
    steps seen from the state; below order 0 every step is as likely as another. So an unseen step
    is unlikely, never impossible. None where there are fewer than two groups.
    """
    groups = steps.group_count
    if groups < 2 or steps.longest == 0:
        return None
    n, base = len(steps.channels), steps.base
    folds = min(FOLDS, groups)
    fold = steps.groups % folds
    likelihoods = np.empty((steps.longest, groups))
    lower_steps, lower = np.arange(n + 2), np.full((n + 2, folds), 1 / (n + 2))
    for order in range(steps.longest + 1):
        distinct, step = np.unique(
            steps.windows % base**order * (n + 2) + steps.next_states, return_inverse=True
        )
        windows, next_states = np.divmod(distinct, n + 2)
        states, state = np.unique(windows, return_inverse=True)
        held_out = np.zeros((len(distinct), folds))
        np.add.at(held_out, (step, fold), steps.transitions)
        seen = held_out.sum(axis=1, keepdims=True) - held_out
        total, kinds = np.zeros((2, len(states), folds))
        np.add.at(total, state, seen)
        np.add.at(kinds, state, seen > 0)

        shorter = windows % base ** max(order - 1, 0) * (n + 2) + next_states
        backed_off = lower[np.searchsorted(lower_steps, shorter)]
        known = np.maximum((total + kinds)[state], 1.0)
        probability = np.where(
            kinds[state] > 0, (seen + kinds[state] * backed_off) / known, backed_off
        )
        if order >= 2:
            # A window that is shorter still starts its path: the lower order knows as much.
            whole = windows < base ** (order - 2)
            probability[whole] = backed_off[whole]
        if order >= 1:
            likelihoods[order - 1] = np.bincount(
                steps.groups, steps.transitions * np.log(probability[step, fold]), groups
            )
        lower_steps, lower = distinct, probability
    return likelihoods


def choose_order(log_likelihoods: FloatArray) -> int:
    """Choose the lowest order that is as good as the best, within one standard error.

    Parameters
    ----------
    log_likelihoods
        Shape (orders, groups): held-out log-likelihood of orders 1, 2, … on groups of persons.

    Returns
    -------
    int
        The lowest order whose shortfall to the best total is at most the standard error of that
        shortfall over the groups (Breiman, Friedman, Olshen, Stone (1984), "Classification and
        Regression Trees", section 3.4.3). Fewer states make steadier removal effects.
    """
    best = log_likelihoods[int(np.argmax(log_likelihoods.sum(axis=1)))]
    shortfall = (best - log_likelihoods).T
    tied = shortfall.sum(axis=0) <= np.sqrt(_variance_of_sum(shortfall))
    return int(np.argmax(tied)) + 1


# Tables


CHANNEL_TOTALS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("markov_order", pa.int32(), nullable=False),
        pa.field("removal_effect", pa.float64(), nullable=False),
        pa.field("removal_effect_revenue", pa.float64(), nullable=False),
        pa.field("conversions", pa.float64(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
        pa.field("conversions_std_error", pa.float64()),
        pa.field("conversions_low", pa.float64()),
        pa.field("conversions_high", pa.float64()),
        pa.field("revenue_std_error", pa.float64()),
        pa.field("revenue_low", pa.float64()),
        pa.field("revenue_high", pa.float64()),
    ]
)

ORDERS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("markov_order", pa.int32(), nullable=False),
        pa.field("states", pa.int64(), nullable=False),
        pa.field("transitions", pa.int64(), nullable=False),
        pa.field("held_out_log_likelihood", pa.float64()),
        pa.field("held_out_log_likelihood_per_step", pa.float64()),
        pa.field("is_used", pa.bool_(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("iterations", pa.int32()),
        pa.field("conversion_probability", pa.float64(), nullable=False),
    ]
)


def attribute_transitions(table: pa.Table, order: int | None = None) -> pa.Table:
    """Split each conversion type's conversions and revenue by removal effect.

    Parameters
    ----------
    table
        Columns conversion_type (text), from_states (list of text: the last channels of the path
        before the step, oldest first, `[START]` for the first step), to_state (text), transitions
        (count) and revenue (currency units, on steps into conversion); person_group (whole number)
        where errors are wanted, each person whole in one group. Any further columns and any number
        of rows per step.
    order
        Order of the chain, from 1; where no window of a conversion type is so long, the longest
        window. None chooses per conversion type by held-out log-likelihood, see `choose_order`, and
        takes 1 where there are fewer than two groups.

    Returns
    -------
    pyarrow.Table
        Schema `CHANNEL_TOTALS`, one row per conversion type and channel, sorted. Per conversion
        type, `conversions` adds up to the conversions with a touch before them and `revenue` to
        their revenue. Where a removal effect of revenue is negative or all are 0 (refunds outweigh
        a channel's sales), revenue is split by the removal effects of conversions: shares of
        effects of both signs would credit a channel with more than there is.

        Standard errors are those of the channel's share, by its influence function summed within
        person groups, times the conversions (revenue) there are; the interval covers 95 % by
        Student's t with groups - 1 degrees of freedom and ends at 0 and at the total. Empty where
        there are fewer than two groups, and where nothing is split.

    Raises
    ------
    ValueError
        If the order is below 1 or a step is impossible, as in `transition_counts`.
    ArithmeticError
        As `removal_effects`.
    """
    rows: list[dict[str, object]] = []
    for conversion_type, steps, used, _ in _by_conversion_type(table, order):
        counts, from_place, to_place = _arrange(steps, used)
        groups = None
        if steps.group_count > 1:
            groups = _GroupedCounts(steps, counts, from_place, to_place)
        removal = _remove(
            counts, [np.array([channel]) for channel in range(len(counts.channels))], groups
        )
        effects = _effects(counts, removal)

        by, revenue_by = effects.conversion, effects.revenue
        if not channel_shares(revenue_by).any() or revenue_by.min() < 0:
            revenue_by = by
        kinds = (0, 0 if revenue_by is by else 1)
        columns: dict[str, FloatArray] = {}
        for name, split_by, kind, amounts in zip(
            ("conversions", "revenue"),
            (by, revenue_by),
            kinds,
            (counts.conversions, counts.revenue),
            strict=True,
        ):
            total = float(amounts.sum())
            credit = channel_shares(split_by) * total
            error = np.full(len(credit), np.nan)
            if removal.influences is not None and split_by.any():
                error = abs(total) * _share_errors(
                    split_by, removal.gains[kind], removal.influences[kind]
                )
            reach = error * stdtrit(max(steps.group_count - 1, 1), (1 + CONFIDENCE) / 2)
            lowest, highest = min(0.0, total), max(0.0, total)
            columns |= {
                name: credit,
                f"{name}_std_error": error,
                f"{name}_low": np.clip(credit - reach, lowest, highest),
                f"{name}_high": np.clip(credit + reach, lowest, highest),
            }
        rows += [
            {
                "conversion_type": conversion_type,
                "channel": channel,
                "markov_order": used,
                "removal_effect": effects.conversion[index],
                "removal_effect_revenue": effects.revenue[index],
            }
            | {
                name: None if np.isnan(values[index]) else values[index]
                for name, values in columns.items()
            }
            for index, channel in enumerate(counts.channels)
        ]
    return pa.Table.from_pylist(rows, schema=CHANNEL_TOTALS)


def describe_orders(table: pa.Table, order: int | None = None) -> pa.Table:
    """Compare the orders that the windows allow, and say which one is used.

    Parameters
    ----------
    table, order
        As in `attribute_transitions`.

    Returns
    -------
    pyarrow.Table
        Schema `ORDERS`, one row per conversion type and order from 1 to the longest window, sorted.
        `states` and `transitions` count the distinct ones; `held_out_log_likelihood` is the natural
        logarithm of the probability that the other persons' counts give to the steps of each person
        group, summed over groups, empty where there are fewer than two; per step it is divided by
        the number of steps. `method` and `iterations` say how the chain is solved, and
        `conversion_probability` is the solution without any removal.

    Raises
    ------
    ValueError, ArithmeticError
        As `attribute_transitions`.
    """
    rows: list[dict[str, object]] = []
    for conversion_type, steps, used, likelihoods in _by_conversion_type(table, order, cut=False):
        for each in range(1, steps.longest + 1):
            counts = _arrange(steps, each)[0]
            effects = _effects(counts, _remove(counts, []))
            held_out = None if likelihoods is None else float(likelihoods[each - 1].sum())
            ends = np.count_nonzero(counts.conversions) + np.count_nonzero(counts.nulls)
            rows.append(
                {
                    "conversion_type": conversion_type,
                    "markov_order": each,
                    "states": len(counts.starts),
                    "transitions": int(
                        counts.steps.count_nonzero() + np.count_nonzero(counts.starts) + ends
                    ),
                    "held_out_log_likelihood": held_out,
                    "held_out_log_likelihood_per_step": (
                        None if held_out is None else held_out / (steps.transitions.sum() or 1.0)
                    ),
                    "is_used": each == used,
                    "method": effects.method,
                    "iterations": effects.iterations,
                    "conversion_probability": effects.conversion_probability,
                }
            )
    return pa.Table.from_pylist(rows, schema=ORDERS)


def _by_conversion_type(
    table: pa.Table, order: int | None, *, cut: bool = True
) -> Iterator[tuple[str, _Steps, int, FloatArray | None]]:
    """Read the steps of each conversion type, the order to use and, where compared, likelihoods.

    Windows are cut to a given order unless all orders are to be compared.
    """
    if order is not None:
        _check_order(order)
    for conversion_type in sorted(table["conversion_type"].unique().to_pylist()):
        part = table.filter(pc.equal(table["conversion_type"], conversion_type))
        longest = pc.max(pc.list_value_length(part["from_states"])).as_py() or 1
        known = longest if order is None else min(order, longest)
        compared = order is None or not cut
        steps = _read_steps(part, longest if compared else known)
        likelihoods = _held_out_log_likelihoods(steps) if compared else None
        if order is None:
            known = 1 if likelihoods is None else choose_order(likelihoods)
        yield conversion_type, steps, known, likelihoods

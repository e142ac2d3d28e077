"""Shapley attribution: channels as players of a cooperative game.

Four games, by what a coalition S of channels is worth:

- **Contained sets**: the conversions whose distinct channels all lie in S. Its Shapley value has a
  closed form, credit shared equally by the distinct channels of a journey; split by the position of
  the channel on its path it is the ordered Shapley value.
- **Markov coalitions**: the probability that a Markov chain of order 1 converts when every step to
  a channel outside S leads to null instead.
- **Conversion rate**: the conversion rate of the journeys whose channels all lie in S. A
  diagnostic, not accounting: its values are differences of rates and add up to no conversions.
- **Any other**: an array of what each coalition is worth, or a function that says so.

Up to about 20 channels values are exact, from all coalitions; beyond they are means over random
orders of the channels, with standard errors.

Source of the method: Shapley (1953), "A value for n-person games"; ordered: Zhao, Mahboobi, Bagheri
(2018), "Shapley value methods for attribution modeling in online advertising"; sampling: Castro,
Gómez, Tejada (2009), "Polynomial calculation of the Shapley value based on sampling", with
antithetic orders after Mitchell, Cooper, Frank, Holmes (2022), "Sampling permutations for Shapley
value estimation"; elimination of states: Grassmann, Taksar, Heyman (1985), "Regenerative analysis
and steady state distributions for Markov chains".
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtrit

from tributary.markov import START, TransitionCounts, transition_counts
from tributary.threads import one_thread

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

MOST_ENUMERATED = 24
"""No more channels than this have their 2^n coalitions written down: 128 MB an array."""

EXACT_CHANNELS = 20
"""Up to this many channels the attributions to tables are exact; beyond, orders are sampled."""

EXACT_REFIT_CHANNELS = 16
"""The same for the refits behind a standard error, of which there are many."""

JACKKNIFE_GROUPS = 20
"""People are merged into this many groups; each is left out once."""

PERMUTATIONS = 1_024
"""Orders sampled unless told otherwise."""

SAMPLING_WORK = 20_480_000
"""Permutations times n^2 that an attribution samples: about half a second, for any n."""

REFIT_WORK = 512_000
"""The same for each refit."""

RATE_SAMPLING_WORK = 2**29
"""Permutations times members of channel sets that an attribution samples: about a second."""

FEWEST_PERMUTATIONS = 32
"""Fewer sampled orders than this tell no standard error."""

NEGLIGIBLE = 1e-12
"""Shares below this are rounding noise and count as 0."""

CELLS_PER_BATCH = 2**19
"""Array cells worked on at once: what a processor's cache holds."""

CHANNELS_AT_ONCE = 12
"""Coalitions over this many channels are eliminated as one array."""

EMPTY_SET = "A channel set needs at least one channel."


def shapley_values(
    channel_sets: Iterable[Iterable[str]], worth: Sequence[float]
) -> dict[str, float]:
    """Shapley value of every channel for the game of contained channel sets.

    Parameters
    ----------
    channel_sets
        The channels of each set; repeats within a set count once. Sets may recur.
    worth
        Conversions or revenue of each set.

    Returns
    -------
    dict
        Channel to value, sorted by channel; the values add up to the total worth. Linear in the
        total size of the sets.

    Raises
    ------
    ValueError
        If a set is empty or the sequences differ in length.
    """
    parts: dict[str, list[float]] = {}
    for channel_set, amount in zip(channel_sets, worth, strict=True):
        channels = _distinct(channel_set)
        for channel in channels:
            parts.setdefault(channel, []).append(amount / len(channels))
    # fsum rounds once, so the result does not depend on the order of the sets.
    return {channel: math.fsum(parts[channel]) for channel in sorted(parts)}


def ordered_shapley_values(
    paths: Iterable[Iterable[str]], worth: Sequence[float]
) -> dict[tuple[str, int], float]:
    """Shapley value of every channel, split by its position on the path.

    Parameters
    ----------
    paths
        The channels of each path in order of time; only the first touch of a channel counts.
    worth
        Conversions or revenue of each path.

    Returns
    -------
    dict
        (channel, position) to value, sorted. Position 1 is the first of the path's distinct
        channels, in order of first touch. Over the positions of a channel the values add up to its
        `shapley_values`.

    Raises
    ------
    ValueError
        If a path is empty or the sequences differ in length.
    """
    parts: dict[tuple[str, int], list[float]] = {}
    for path, amount in zip(paths, worth, strict=True):
        channels = _distinct(path)
        for position, channel in enumerate(channels, start=1):
            parts.setdefault((channel, position), []).append(amount / len(channels))
    return {place: math.fsum(parts[place]) for place in sorted(parts)}


def _distinct(channels: Iterable[str]) -> tuple[str, ...]:
    """Distinct channels in order of first touch."""
    distinct = tuple(dict.fromkeys(channels))
    if not distinct:
        raise ValueError(EMPTY_SET)
    return distinct


@dataclass(frozen=True)
class _ChannelSets:
    """Sets of n channels, one after the other.

    Attributes
    ----------
    members
        Shape (members,), from 0 to n - 1: the channels of the first set, of the second, …
    begins
        Shape (sets,): where in `members` each set begins.
    """

    members: IntArray
    begins: IntArray

    @classmethod
    def of_names(
        cls, channel_sets: Iterable[Iterable[str]], channels: Sequence[str]
    ) -> "_ChannelSets":
        """Take sets of names, and the n channels there are."""
        place = {channel: index for index, channel in enumerate(channels)}
        try:
            sets = [[place[channel] for channel in _distinct(each)] for each in channel_sets]
        except KeyError as error:
            raise ValueError(f"The channel {error} of a set is not in the list.") from None
        lengths = np.array([len(each) for each in sets], dtype=np.intp)
        members = np.fromiter((member for each in sets for member in each), np.intp, lengths.sum())
        return cls(members, lengths.cumsum() - lengths)

    @classmethod
    def of_lists(cls, lists: pa.ListArray) -> tuple["_ChannelSets", list[str]]:
        """Take lists of text, and tell the names of the n channels too."""
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        if not lengths.all():
            raise ValueError(EMPTY_SET)
        named = lists.flatten().dictionary_encode()
        members = named.indices.to_numpy(zero_copy_only=False).astype(np.intp)
        return cls(members, lengths.cumsum() - lengths), named.dictionary.to_pylist()

    def by_length(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Give, for each length, the places of its sets and their members, (length, sets)."""
        lengths = np.diff(self.begins, append=len(self.members))
        for length in np.unique(lengths):
            (places,) = np.nonzero(lengths == length)
            yield places, self.members[self.begins[places] + np.arange(length)[:, None]]

    def worth(self, of_sets: npt.ArrayLike, n: int) -> FloatArray:
        """Worth of every coalition, shape (2^n,), by subset sums (the zeta transform)."""
        _check_enumerable(n)
        if not len(self.begins):
            return np.zeros(1 << n)
        coalitions = np.bitwise_or.reduceat(np.left_shift(1, self.members), self.begins)
        totals = np.bincount(coalitions, weights=of_sets, minlength=1 << n).astype(np.float64)
        for index in range(n):
            halves = totals.reshape(-1, 2, 1 << index)
            halves[:, 1] += halves[:, 0]
        return totals


# Games as arrays. Coalitions are numbered: bit i of a coalition's number says whether channel i is
# in it, so coalition 0 is nobody and coalition 2^n - 1 everybody.


def coalition_worth(
    channel_sets: Iterable[Iterable[str]], worth: Sequence[float], channels: Sequence[str]
) -> FloatArray:
    """Worth of every coalition: what the channel sets within it are worth together.

    Parameters
    ----------
    channel_sets, worth
        As in `shapley_values`.
    channels
        The n distinct channels, n at most 24. Bit i of a coalition's number stands for channel i.

    Returns
    -------
    numpy.ndarray
        Shape (2^n,), by subset sums (the zeta transform): O(n 2^n).

    Raises
    ------
    ValueError
        If a set is empty or holds a channel that is not listed, or there are too many channels.
    """
    return _ChannelSets.of_names(channel_sets, channels).worth(worth, len(channels))


def conversion_rate_worth(
    channel_sets: Iterable[Iterable[str]],
    conversions: Sequence[float],
    open_journeys: Sequence[float],
    channels: Sequence[str],
) -> FloatArray:
    """Conversion rate of every coalition: of the journeys whose channels all lie in it.

    A diagnostic, not accounting: see `attribute_conversion_rates`.

    Parameters
    ----------
    channel_sets, channels
        As in `coalition_worth`.
    conversions, open_journeys
        Journeys of each set that converted, and that did not.

    Returns
    -------
    numpy.ndarray
        Shape (2^n,), in [0, 1]; 0 for a coalition without journeys.
    """
    sets = _ChannelSets.of_names(channel_sets, channels)
    return _conversion_rate_worth(sets, conversions, open_journeys, len(channels))


def _conversion_rate_worth(
    sets: _ChannelSets, conversions: npt.ArrayLike, open_journeys: npt.ArrayLike, n: int
) -> FloatArray:
    converted = sets.worth(conversions, n)
    return _ratio(converted, converted + sets.worth(open_journeys, n))


def markov_coalition_worth(counts: TransitionCounts) -> FloatArray:
    """Conversion probability and revenue per path of every coalition of channels.

    A path is a walk of the chain of order 1; every step to a channel outside the coalition leads to
    null instead. The channels are taken one at a time, and each is either dropped into null or kept
    and eliminated (the chain is watched only while it is elsewhere), so the matrix left shrinks
    while the number of matrices doubles: O(2^n) altogether, without a subtraction.

    Parameters
    ----------
    counts
        Steps over n channels, n at most 24. A channel from which no path ends never converts.

    Returns
    -------
    numpy.ndarray
        Shape (2^n, 2): probability in [0, 1], and revenue per path in currency units. Bit i of a
        coalition's number stands for `counts.channels[i]`.

    Raises
    ------
    ValueError
        If there are too many channels.
    """
    n = len(counts.channels)
    _check_enumerable(n)
    # The channel eliminated first becomes the highest bit.
    return _worth_of_coalitions(_reordered(_chain(counts), np.arange(n)[None, ::-1]))


def shapley_of_game(worth: npt.ArrayLike) -> FloatArray:
    """Shapley value of every player of a game, from the worth of all coalitions.

    Parameters
    ----------
    worth
        Shape (2^n,) or (2^n, k) for k games at once. Bit i of a coalition's number stands for
        player i.

    Returns
    -------
    numpy.ndarray
        Shape (n,) or (n, k); over the players the values add up to the worth of everybody less that
        of nobody. O(2^n).

    Raises
    ------
    ValueError
        If the number of coalitions is no power of 2.
    """
    games = np.asarray(worth, dtype=np.float64)
    coalitions = len(games)
    n = max(0, coalitions.bit_length() - 1)
    if coalitions != 1 << n:
        raise ValueError(f"{coalitions} coalitions: a game of n players has 2^n.")

    # Joining a coalition of s others happens in 1 / (n C(n-1, s)) of all orders. A coalition of
    # size s counts with that weight for each member (s - 1 others) and against everybody else.
    joining = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    against = np.append(joining, 0.0)
    sizes = np.bitwise_count(np.arange(coalitions, dtype=np.uint32))
    shape = (coalitions, *[1] * (games.ndim - 1))
    everybody = (games * against[sizes].reshape(shape)).sum(axis=0)
    weighted = games * (np.append(0.0, joining) + against)[sizes].reshape(shape)

    values = np.empty((n, *games.shape[1:]))
    for player in reversed(range(n)):
        without, present = weighted.reshape(2, 1 << player, *games.shape[1:])
        values[player] = present.sum(axis=0) - everybody
        weighted = without + present
    return values


# Games sampled over orders of the players.


@dataclass(frozen=True)
class ShapleyEstimate:
    """Shapley values of n players, and how sure they are.

    Attributes
    ----------
    values
        Shape (n,), or (n, k) for k games at once.
    standard_errors
        Same shape: standard errors of sampling orders; 0 where all coalitions were counted.
    is_sampled
        Whether orders were sampled.
    """

    values: FloatArray
    standard_errors: FloatArray
    is_sampled: bool


def sampled_shapley(
    worth_of: Callable[[BoolArray], FloatArray], n: int, permutations: int, seed: int
) -> ShapleyEstimate:
    """Estimate the Shapley value of every player from random orders.

    In each order the players join one by one, and each gets what it adds. Orders come in antithetic
    pairs, an order and its reverse, whose mean is one draw: who joins late in one joins early in
    the other. Every draw adds up to the worth of everybody less that of nobody, and so do the
    values.

    Parameters
    ----------
    worth_of
        Takes memberships, shape (coalitions, n), and gives what they are worth, shape (coalitions,)
        or (coalitions, k) for k games at once.
    n
        How many players.
    permutations
        How many orders: even, and at least 4.
    seed
        Same seed, same values.

    Raises
    ------
    ValueError
        If `permutations` is odd or less than 4.
    """

    def worth_of_prefixes(orders: IntArray) -> FloatArray:
        positions = np.argsort(orders, axis=1)
        members = positions[:, None, :] < np.arange(n + 1)[:, None]
        worth = worth_of(members.reshape(-1, n))
        return worth.reshape(len(orders), n + 1, *worth.shape[1:])

    return _sampled(worth_of_prefixes, n, permutations, seed)


def _sampled(
    worth_of_prefixes: Callable[[IntArray], FloatArray], n: int, permutations: int, seed: int
) -> ShapleyEstimate:
    """Estimate from orders, shape (orders, n), to worth of their prefixes, (orders, n + 1, …)."""
    if permutations < 4 or permutations % 2:
        raise ValueError(f"{permutations} permutations: an even number of at least 4 is needed.")
    rng = np.random.default_rng(seed)
    pairs_per_batch = max(1, CELLS_PER_BATCH // (n + 3) ** 2 // 2)
    draws: list[FloatArray] = []
    for done in range(0, permutations // 2, pairs_per_batch):
        pairs = min(pairs_per_batch, permutations // 2 - done)
        orders = rng.permuted(np.tile(np.arange(n), (pairs, 1)), axis=1)
        orders = np.concatenate([orders, orders[:, ::-1]])
        added = np.diff(worth_of_prefixes(orders), axis=1)
        by_player = np.take_along_axis(
            added,
            np.argsort(orders, axis=1).reshape(*orders.shape, *[1] * (added.ndim - 2)),
            axis=1,
        )
        draws.append((by_player[:pairs] + by_player[pairs:]) / 2)
    drawn = np.concatenate(draws)
    return ShapleyEstimate(
        values=drawn.mean(axis=0),
        standard_errors=drawn.std(axis=0, ddof=1) / math.sqrt(len(drawn)),
        is_sampled=True,
    )


def _affordable(work: int, each: int) -> int:
    """How many permutations, an even number, are so much work, if each is so much."""
    return max(FEWEST_PERMUTATIONS, work // each // 2 * 2)


def markov_coalition_shapley(
    counts: TransitionCounts,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    exact_channels: int = EXACT_CHANNELS,
) -> ShapleyEstimate:
    """Shapley value of every channel for the game of Markov coalitions.

    Parameters
    ----------
    counts
        Steps over n channels.
    permutations, seed
        As in `sampled_shapley`, for more channels than `exact_channels`. O(n^3) each: one
        elimination of the chain in that order passes through the worth of all its prefixes.
    exact_channels
        Up to this many channels, at most 24, all coalitions are counted: O(2^n).

    Returns
    -------
    ShapleyEstimate
        Values of shape (n, 2), in the order of `counts.channels`: conversion probability, adding up
        to that of the whole chain, and revenue per path in currency units.
    """
    n = len(counts.channels)
    if n <= exact_channels:
        values = shapley_of_game(markov_coalition_worth(counts))
        return ShapleyEstimate(values, np.zeros_like(values), is_sampled=False)

    chain = _chain(counts)

    def worth_of_prefixes(orders: IntArray) -> FloatArray:
        worth = _worth_of_prefixes(_reordered(chain, orders))
        return np.concatenate([np.zeros_like(worth[:, :1]), worth], axis=1)

    return _sampled(worth_of_prefixes, n, permutations, seed)


def conversion_rate_shapley(
    channel_sets: Sequence[Iterable[str]],
    conversions: Sequence[float],
    open_journeys: Sequence[float],
    channels: Sequence[str],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    exact_channels: int = EXACT_CHANNELS,
) -> ShapleyEstimate:
    """Shapley value of every channel for the game of conversion rates: a diagnostic.

    Parameters
    ----------
    channel_sets, conversions, open_journeys, channels
        As in `conversion_rate_worth`, but for any number n of channels.
    permutations, seed, exact_channels
        As in `markov_coalition_shapley`. A sampled order costs one pass over the sets.

    Returns
    -------
    ShapleyEstimate
        Values of shape (n,), in the order of `channels`: they add up to the conversion rate of all
        journeys, and may be negative.
    """
    return _conversion_rate_shapley(
        _ChannelSets.of_names(channel_sets, channels),
        conversions,
        open_journeys,
        len(channels),
        permutations,
        seed,
        exact_channels,
    )


def _conversion_rate_shapley(
    sets: _ChannelSets,
    conversions: npt.ArrayLike,
    open_journeys: npt.ArrayLike,
    n: int,
    permutations: int,
    seed: int,
    exact_channels: int = EXACT_CHANNELS,
) -> ShapleyEstimate:
    if n <= exact_channels:
        values = shapley_of_game(_conversion_rate_worth(sets, conversions, open_journeys, n))
        return ShapleyEstimate(values, np.zeros_like(values), is_sampled=False)

    converted = np.asarray(conversions, dtype=np.float64)
    journeys = converted + np.asarray(open_journeys, dtype=np.float64)

    by_length = list(sets.by_length())
    complete = np.empty(len(sets.begins), dtype=np.min_scalar_type(n))

    def worth_of_prefixes(orders: IntArray) -> FloatArray:
        rates = np.empty((len(orders), n + 1))
        for row, order in enumerate(orders):
            # A set lies within a prefix from the place of its last member on. Narrow numbers of
            # sets of one length are several times as fast as one pass over all members.
            size = 1 + np.argsort(order).astype(complete.dtype)
            for places, members in by_length:
                complete[places] = np.take(size, members).max(axis=0)
            rates[row] = _ratio(
                *(
                    np.bincount(complete, weights=each, minlength=n + 1).cumsum()
                    for each in (converted, journeys)
                )
            )
        return rates

    return _sampled(worth_of_prefixes, n, permutations, seed)


# Chains are arrays of shape (chains, m + 1, m + 3): m channels and the start to m channels, null,
# conversion and revenue. The first m + 2 columns are probabilities; revenue is per visit.


def _chain(counts: TransitionCounts) -> FloatArray:
    """Arrange the chain of the counted steps, shape (n + 1, n + 3)."""
    n = len(counts.channels)
    # Steps from a channel to itself change nothing.
    steps = np.where(np.eye(n, dtype=bool), 0.0, counts.steps.toarray())
    ends = counts.conversions + counts.nulls > 0
    leads = np.zeros_like(ends)
    while not np.array_equal(leads, ends):
        leads, ends = ends, ends | (steps[:, ends] > 0).any(axis=1)
    # From the other channels no path ends: if one is visited at all, it never converts.
    rows = np.column_stack([steps, counts.nulls, counts.conversions, counts.revenue])
    rows = np.where(ends[:, None], rows, np.eye(1, n + 3, n))
    rows /= rows[:, :-1].sum(axis=1, keepdims=True)
    start = np.append(counts.starts / (counts.starts.sum() or 1.0), [0.0, 0.0, 0.0])
    chain: FloatArray = np.vstack([rows, start])
    return chain


def _reordered(chain: FloatArray, orders: IntArray) -> FloatArray:
    """Chains with the channels of one in the given orders, shape (orders, n)."""
    n = orders.shape[1]
    rows = np.pad(orders, ((0, 0), (0, 1)), constant_values=n)
    columns = np.column_stack([orders, np.tile(np.arange(n, n + 3), (len(orders), 1))])
    chains: FloatArray = chain[rows[:, :, None], columns[:, None, :]]
    return chains


def _without_first(chains: FloatArray) -> FloatArray:
    """Chains where steps to the first channel lead to null."""
    rest = chains[:, 1:, 1:].copy()
    rest[:, :, -3] += chains[:, 1:, 0]
    return rest


def _through_first(chains: FloatArray) -> FloatArray:
    """Chains where visits to the first channel are skipped: it passes on to where it leads."""
    out = chains[:, 0, 1:]
    out = out / out[:, :-1].sum(axis=1, keepdims=True)
    rest: FloatArray = chains[:, 1:, 1:] + chains[:, 1:, :1] * out[:, None, :]
    return rest


def _worth_of_coalitions(chains: FloatArray) -> FloatArray:
    """Worth of the coalitions of a chain's m channels, shape (2^m, 2); first is the high bit."""
    if chains.shape[1] > CHANNELS_AT_ONCE + 1:
        return np.concatenate(
            [
                _worth_of_coalitions(_without_first(chains)),
                _worth_of_coalitions(_through_first(chains)),
            ]
        )
    while chains.shape[1] > 1:
        both = np.stack([_without_first(chains), _through_first(chains)], axis=1)
        chains = both.reshape(-1, *both.shape[2:])
    worth: FloatArray = chains[:, 0, -2:]
    return worth


def _worth_of_prefixes(chains: FloatArray) -> FloatArray:
    """Worth of the first 1, 2, … m channels of each chain, shape (chains, m, 2)."""
    m = chains.shape[1] - 1
    if m <= CHANNELS_AT_ONCE:
        worth = np.empty((len(chains), m, 2))
        for size in range(m):
            chains = _through_first(chains)
            worth[:, size] = chains[:, -1, -2:]
        return worth

    # The first half knows nothing of the second, whose chain skips the visits to the first.
    half = m // 2
    first = np.delete(chains, np.s_[half:m], axis=1)
    first[:, :, m] += first[:, :, half:m].sum(axis=2)
    first = np.delete(first, np.s_[half:m], axis=2)
    inside = np.eye(half) - chains[:, :half, :half]
    through = np.linalg.solve(inside, chains[:, :half, half:])
    second = chains[:, half:, half:] + chains[:, half:, :half] @ through
    return np.concatenate([_worth_of_prefixes(first), _worth_of_prefixes(second)], axis=1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _check_enumerable(channels: int) -> None:
    if channels > MOST_ENUMERATED:
        raise ValueError(
            f"{channels} channels have too many coalitions to write down: "
            f"at most {MOST_ENUMERATED}. Sample orders instead."
        )


# Tables

MARKOV_COALITION_TOTALS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("conversions", pa.float64(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
        pa.field("conversions_std_error", pa.float64()),
        pa.field("conversions_low", pa.float64()),
        pa.field("conversions_high", pa.float64()),
        pa.field("method", pa.string(), nullable=False),
    ]
)

CONVERSION_RATES = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("share", pa.float64()),
        pa.field("std_error", pa.float64(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
    ]
)


def attribute_markov_coalitions(table: pa.Table, seed: int = 0) -> pa.Table:
    """Split each conversion type's conversions and revenue by Markov-coalition Shapley value.

    Parameters
    ----------
    table
        Columns conversion_type (text), person_group (whole number: people in groups at random),
        from_states (list of text: the last channels, oldest first, or `["(start)"]`; only the last
        counts), to_state (text), transitions (count) and revenue (currency units).
    seed
        Of the sampled orders, where there are more than 20 channels.

    Returns
    -------
    pyarrow.Table
        Schema `MARKOV_COALITION_TOTALS`, one row per conversion type and channel, sorted. Per
        conversion type, `conversions` adds up to the conversions with a touch before them and
        `revenue` to their revenue; where a value of revenue is negative or all are 0, revenue is
        split as the conversions are.

        `conversions_std_error` is that of a channel's share times the conversions there are. It
        holds the chance of which people came, by a jackknife that leaves out one of up to 20 groups
        of people at a time, and that of sampling orders. The interval from `conversions_low` to
        `conversions_high` covers 95 % by Student's distribution with as many degrees of freedom as
        groups less 1. All three are empty where there are fewer than two groups or no conversions.
        `method` is exact or sampled.

    Raises
    ------
    ValueError
        If from_states is empty somewhere, or a step is none of a path.
    """
    states = table["from_states"].combine_chunks()
    lengths = pc.list_value_length(states).fill_null(0).to_numpy(zero_copy_only=False)
    if not lengths.all():
        raise ValueError("A step needs a state it comes from: from_states is empty.")
    last = states.flatten().take(pa.array(np.cumsum(lengths) - 1, pa.int64()))
    groups = np.asarray(table["person_group"]) % JACKKNIFE_GROUPS
    # Added up before anything becomes a float: sums of exact amounts do not depend on row order.
    table = (
        table.select(["conversion_type", "to_state", "transitions", "revenue"])
        .append_column("from_state", last)
        .append_column("person_group", pa.array(groups, pa.int64()))
    )
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(table["conversion_type"].unique().to_pylist()):
        part = table.filter(pc.equal(table["conversion_type"], conversion_type))
        with one_thread():
            rows += [
                {"conversion_type": conversion_type, **row}
                for row in _markov_coalition_rows(part, seed)
            ]
    return pa.Table.from_pylist(rows, schema=MARKOV_COALITION_TOTALS)


def _markov_coalition_rows(steps: pa.Table, seed: int) -> Iterator[dict[str, object]]:
    """One row per channel of a conversion type, sorted."""
    by_name = _counted(steps)
    # Sampled orders are of channels as the counts tell them apart, not as their names do.
    arrivals = by_name.starts + by_name.steps.sum(axis=0)
    order = np.lexsort((by_name.revenue, by_name.conversions, by_name.starts, arrivals))
    counts = _taken(by_name, order)
    n = len(counts.channels)
    estimate = markov_coalition_shapley(counts, _affordable(SAMPLING_WORK, n**2), seed)
    shares, revenue_shares = _shares(estimate.values).T
    if not revenue_shares.any() or revenue_shares.min() < 0:
        revenue_shares = shares

    conversions = counts.conversions.sum()
    groups = sorted(steps["person_group"].unique().to_pylist())
    margins = None
    if len(groups) > 1 and shares.any():
        refits = []
        for group in groups:
            left_out = _counted(
                steps.filter(pc.equal(steps["person_group"], group)), by_name.channels
            )
            rest = _less(counts, _taken(left_out, order))
            refit = markov_coalition_shapley(
                rest, _affordable(REFIT_WORK, n**2), seed, EXACT_REFIT_CHANNELS
            )
            refits.append(_shares(refit.values)[:, 0])
        people = np.std(refits, axis=0) * math.sqrt(len(groups) - 1)
        sampling = estimate.standard_errors[:, 0] / estimate.values[:, 0].sum()
        errors = np.hypot(people, sampling) * conversions
        margins = errors * stdtrit(len(groups) - 1, 0.975)

    for index in np.argsort(order):
        credit = shares[index] * conversions
        yield {
            "channel": counts.channels[index],
            "conversions": credit,
            "revenue": revenue_shares[index] * counts.revenue.sum(),
            "conversions_std_error": None if margins is None else errors[index],
            "conversions_low": None if margins is None else max(0.0, credit - margins[index]),
            "conversions_high": (
                None if margins is None else min(conversions, credit + margins[index])
            ),
            "method": "sampled" if estimate.is_sampled else "exact",
        }


def _shares(values: FloatArray) -> FloatArray:
    """Shares of each column of values, adding up to 1, or all 0."""
    total = values.sum(axis=0)
    shares = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return np.where(np.abs(shares) < NEGLIGIBLE, 0.0, shares)


def _counted(steps: pa.Table, channels: Sequence[str] = ()) -> TransitionCounts:
    """Count the steps of a table, over the given channels at least."""
    steps = steps.group_by(["from_state", "to_state"]).aggregate(
        [("transitions", "sum"), ("revenue", "sum")]
    )
    nothing = np.zeros(len(channels))
    return transition_counts(
        [*((state,) for state in steps["from_state"].to_pylist()), *((START,) for _ in channels)],
        [*steps["to_state"].to_pylist(), *channels],
        np.append(steps["transitions_sum"].cast(pa.float64()).to_numpy(), nothing),
        np.append(steps["revenue_sum"].cast(pa.float64()).to_numpy(), nothing),
    )


def _taken(counts: TransitionCounts, order: IntArray) -> TransitionCounts:
    """Take the channels in another order."""
    return replace(
        counts,
        channels=tuple(counts.channels[index] for index in order),
        starts=counts.starts[order],
        steps=counts.steps[np.ix_(order, order)],
        conversions=counts.conversions[order],
        nulls=counts.nulls[order],
        revenue=counts.revenue[order],
    )


def _less(counts: TransitionCounts, part: TransitionCounts) -> TransitionCounts:
    """Subtract the counts of a part, over the same channels."""
    return replace(
        counts,
        starts=counts.starts - part.starts,
        steps=counts.steps - part.steps,
        conversions=counts.conversions - part.conversions,
        nulls=counts.nulls - part.nulls,
        revenue=counts.revenue - part.revenue,
    )


def attribute_conversion_rates(table: pa.Table, seed: int = 0) -> pa.Table:
    """Explain each conversion type's conversion rate by channels: a diagnostic, not accounting.

    A channel's value is what it adds to the conversion rate of a coalition, a mean over all orders
    of joining. Coalitions are journeys that differ in more than a channel, so a value is no effect
    of the channel; it may be negative, and it says nothing about how many conversions came.

    Parameters
    ----------
    table
        Columns conversion_type (text), channel_set (list of text), conversions and open_journeys
        (counts); any further columns and any number of rows per set.
    seed
        Of the sampled orders, where there are more than 20 channels.

    Returns
    -------
    pyarrow.Table
        Schema `CONVERSION_RATES`, one row per conversion type and channel, sorted. `value` is in
        [-1, 1] and adds up to the conversion rate of all journeys; `share` is the value over that
        rate, empty where it is 0. `std_error` is that of sampling orders, in the unit of `value`: 0
        where `method` is exact. The chance of which people came is not in it.

    Raises
    ------
    ValueError
        If a set is empty.
    """
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(table["conversion_type"].unique().to_pylist()):
        part = table.filter(pc.equal(table["conversion_type"], conversion_type))
        sets, names = _ChannelSets.of_lists(part["channel_set"].combine_chunks())
        conversions, open_journeys = (
            part[amount].to_numpy() for amount in ("conversions", "open_journeys")
        )
        lengths = np.diff(sets.begins, append=len(sets.members))
        converted, still_open = (
            np.bincount(sets.members, weights=np.repeat(each, lengths))
            for each in (conversions, open_journeys)
        )
        # Sampled orders are of channels as the counts tell them apart, not as their names do.
        order = np.lexsort((np.array(names), still_open, converted))
        channels = [names[place] for place in order]
        estimate = _conversion_rate_shapley(
            replace(sets, members=np.argsort(order)[sets.members]),
            conversions,
            open_journeys,
            len(channels),
            min(PERMUTATIONS, _affordable(RATE_SAMPLING_WORK, len(sets.members))),
            seed,
        )
        rate = estimate.values.sum() if conversions.any() else 0.0
        rows += [
            {
                "conversion_type": conversion_type,
                "channel": channels[index],
                "value": estimate.values[index],
                "share": estimate.values[index] / rate if rate else None,
                "std_error": estimate.standard_errors[index],
                "method": "sampled" if estimate.is_sampled else "exact",
            }
            for index in sorted(range(len(channels)), key=channels.__getitem__)
        ]
    return pa.Table.from_pylist(rows, schema=CONVERSION_RATES)

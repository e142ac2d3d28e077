"""Markov attribution of order 1: exact removal effects of an absorbing chain.

A path is a walk from the start over channels into conversion or null (an open journey). Removing a
channel sends every step into it to null; its removal effect is the share of the conversion
probability that is lost. All removal effects come from one inverse of the chain, without simulation
and without a solve per channel.

Source of the method: Anderl, Becker, von Wangenheim, Schumann (2016), "Mapping the customer
journey", International Journal of Research in Marketing 33(3); absorption probabilities after
Kemeny and Snell (1960), "Finite Markov Chains", chapter III.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

START = "(start)"
CONVERSION = "(conversion)"
NULL = "(null)"

NEGLIGIBLE = 1e-12
"""Removal effects below this are rounding noise of the inverse and count as 0."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TransitionCounts:
    """Counted steps of paths over `n` channels.

    Attributes
    ----------
    channels
        The channel names, in the order of every other array.
    starts
        Shape (n,): paths that start with the channel.
    steps
        Shape (n, n): steps from the row's channel to the column's.
    conversions
        Shape (n,): paths that convert right after the channel.
    nulls
        Shape (n,): paths that end without conversion right after the channel.
    revenue
        Shape (n,): revenue of the paths that convert right after the channel, in currency units.
    """

    channels: tuple[str, ...]
    starts: FloatArray
    steps: FloatArray
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
    """

    channels: tuple[str, ...]
    conversion_probability: float
    revenue_per_path: float
    conversion: FloatArray
    revenue: FloatArray


def count_transitions(
    paths: Iterable[Sequence[str]],
    conversions: Sequence[float],
    nulls: Sequence[float],
    revenue: Sequence[float],
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

    Raises
    ------
    ValueError
        If a path is empty or the sequences differ in length.
    """
    counted: dict[tuple[str, str], list[float]] = {}

    def add(from_state: str, to_state: str, transitions: float, value: float = 0.0) -> None:
        cell = counted.setdefault((from_state, to_state), [0.0, 0.0])
        cell[0] += transitions
        cell[1] += value

    for path, converted, ended, value in zip(paths, conversions, nulls, revenue, strict=True):
        if not path:
            raise ValueError("A path needs at least one channel.")
        add(START, path[0], converted + ended)
        for from_channel, to_channel in pairwise(path):
            add(from_channel, to_channel, converted + ended)
        add(path[-1], CONVERSION, converted, value)
        add(path[-1], NULL, ended)

    return transition_counts(
        [from_state for from_state, _ in counted],
        [to_state for _, to_state in counted],
        [cell[0] for cell in counted.values()],
        [cell[1] for cell in counted.values()],
    )


def transition_counts(
    from_states: Sequence[str],
    to_states: Sequence[str],
    transitions: npt.ArrayLike,
    revenue: npt.ArrayLike,
) -> TransitionCounts:
    """Arrange counted steps, given as rows, into arrays; rows of one step are added up.

    Parameters
    ----------
    from_states, to_states
        State of each row before and after the step: a channel, or one of `START`, `CONVERSION`,
        `NULL`.
    transitions
        Shape (rows,): how often the step was taken.
    revenue
        Shape (rows,): revenue carried by the step, in currency units; counts on steps into
        conversion only.

    Raises
    ------
    ValueError
        If a step leads from the start into conversion or null (a path without a channel), out of
        conversion or null, or into the start.
    """
    channels = tuple(sorted({*from_states, *to_states} - {START, CONVERSION, NULL}))
    # Channels take the places 0 … n-1; of the pseudo-states only `start` has a row, and only
    # `conversion` and `null` have columns.
    n = len(channels)
    place = {channel: index for index, channel in enumerate(channels)}
    row_of = {**place, START: n}
    column_of = {**place, CONVERSION: n, NULL: n + 1}
    try:
        rows = np.array([row_of[state] for state in from_states], dtype=np.intp)
        columns = np.array([column_of[state] for state in to_states], dtype=np.intp)
    except KeyError as error:
        raise ValueError(f"No step can lead this way through the state {error}.") from None
    if np.any((rows == n) & (columns >= n)):
        raise ValueError("A path needs at least one channel.")

    counts = np.zeros((n + 1, n + 2))
    value = np.zeros((n + 1, n + 2))
    np.add.at(counts, (rows, columns), np.asarray(transitions, dtype=np.float64))
    np.add.at(value, (rows, columns), np.asarray(revenue, dtype=np.float64))
    return TransitionCounts(
        channels=channels,
        starts=counts[n, :n],
        steps=counts[:n, :n],
        conversions=counts[:n, n],
        nulls=counts[:n, n + 1],
        revenue=value[:n, n],
    )


def removal_effects(counts: TransitionCounts) -> RemovalEffects:
    """Compute the exact removal effect of every channel.

    With Q the step probabilities between channels, M = (I - Q)^-1, b = M r the probability to
    convert from each channel and u = s M the expected visits: a path ever visits channel j with
    probability u_j / M_jj, and without j it loses (u_j / M_jj) b_j of its conversion probability.
    Costs one inverse: O(n^3) time and O(n^2) memory for n channels.

    Paths need not be aggregated, and repeats of a channel change nothing: both leave M's products
    as they are.

    Raises
    ------
    numpy.linalg.LinAlgError
        If some channels lead only to each other: steps counted from paths that end never do.
    """
    n = len(counts.channels)
    paths = counts.starts.sum()
    leaving = counts.steps.sum(axis=1) + counts.conversions + counts.nulls
    if n == 0 or paths == 0:
        return RemovalEffects(counts.channels, 0.0, 0.0, np.zeros(n), np.zeros(n))

    # A channel that is never left was never visited; any row total serves.
    leaving = np.where(leaving > 0, leaving, 1.0)
    inverse = np.linalg.inv(np.eye(n) - counts.steps / leaving[:, None])
    visits = (counts.starts / paths) @ inverse
    ever_visited = visits / np.diag(inverse)

    def lost(per_visit: FloatArray) -> tuple[float, FloatArray]:
        expected = inverse @ per_visit
        total = float(counts.starts @ expected / paths)
        if abs(total) < NEGLIGIBLE * max(1.0, float(np.abs(expected).max())):
            return 0.0, np.zeros(n)
        effect = ever_visited * expected / total
        return total, np.where(np.abs(effect) < NEGLIGIBLE, 0.0, effect)

    probability, conversion = lost(counts.conversions / leaving)
    per_path, revenue = lost(counts.revenue / leaving)
    return RemovalEffects(counts.channels, probability, per_path, conversion, revenue)


def channel_shares(effects: FloatArray) -> FloatArray:
    """Shares in proportion to removal effects: shape (n,), adding up to 1, or all 0."""
    total = effects.sum()
    return effects / total if abs(total) > NEGLIGIBLE else np.zeros_like(effects)


CHANNEL_TOTALS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("removal_effect", pa.float64(), nullable=False),
        pa.field("removal_effect_revenue", pa.float64(), nullable=False),
        pa.field("conversions", pa.float64(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
    ]
)


def attribute_transitions(table: pa.Table) -> pa.Table:
    """Split each conversion type's conversions and revenue by removal effect.

    Parameters
    ----------
    table
        Columns conversion_type, from_state, to_state (text), transitions (count) and revenue
        (currency units); any further columns and any number of rows per step.

    Returns
    -------
    pyarrow.Table
        Schema `CHANNEL_TOTALS`, one row per conversion type and channel, sorted. Per conversion
        type, `conversions` adds up to the conversions with a touch before them and `revenue` to
        their revenue. Where a removal effect of revenue is negative or all are 0 (refunds outweigh
        a channel's sales), revenue is split by the removal effects of conversions: shares of
        effects of both signs would credit a channel with more than there is.
    """
    # Added up before anything becomes a float: sums of exact amounts do not depend on row order.
    table = table.group_by(["conversion_type", "from_state", "to_state"]).aggregate(
        [("transitions", "sum"), ("revenue", "sum")]
    )
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(table["conversion_type"].unique().to_pylist()):
        part = table.filter(pc.equal(table["conversion_type"], conversion_type))
        counts = transition_counts(
            part["from_state"].to_pylist(),
            part["to_state"].to_pylist(),
            part["transitions_sum"].cast(pa.float64()).to_numpy(),
            part["revenue_sum"].cast(pa.float64()).to_numpy(),
        )
        effects = removal_effects(counts)
        shares = channel_shares(effects.conversion)
        revenue_shares = channel_shares(effects.revenue)
        if not revenue_shares.any() or effects.revenue.min() < 0:
            revenue_shares = shares
        rows += [
            {
                "conversion_type": conversion_type,
                "channel": channel,
                "removal_effect": effects.conversion[index],
                "removal_effect_revenue": effects.revenue[index],
                "conversions": shares[index] * counts.conversions.sum(),
                "revenue": revenue_shares[index] * counts.revenue.sum(),
            }
            for index, channel in enumerate(counts.channels)
        ]
    return pa.Table.from_pylist(rows, schema=CHANNEL_TOTALS)

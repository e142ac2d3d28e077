"""Shapley attribution over sets of distinct channels, in closed form.

The game: v(S) is the number of conversions whose distinct channels all lie in S. Its Shapley value
is the sum, over the converted sets that hold the channel, of conversions divided by the size of the
set. That is what this model is: credit shared equally by the distinct channels of a journey.

Source of the method: Shapley (1953), "A value for n-person games"; the closed form follows because
v is a sum of unanimity games (see docs/methods/shapley.md).
"""

import math
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

CHANNEL_TOTALS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("conversions", pa.float64(), nullable=False),
        pa.field("revenue", pa.float64(), nullable=False),
    ]
)


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
        channels = set(channel_set)
        if not channels:
            raise ValueError("A channel set needs at least one channel.")
        for channel in channels:
            parts.setdefault(channel, []).append(amount / len(channels))
    # fsum rounds once, so the result does not depend on the order of the sets.
    return {channel: math.fsum(parts[channel]) for channel in sorted(parts)}


def attribute_channel_sets(table: pa.Table) -> pa.Table:
    """Split each conversion type's conversions and revenue by Shapley value.

    Parameters
    ----------
    table
        Columns conversion_type (text), channel_set (list of text), conversions (count) and revenue
        (currency units); any further columns and any number of rows per set.

    Returns
    -------
    pyarrow.Table
        Schema `CHANNEL_TOTALS`, one row per conversion type and channel, sorted. Per conversion
        type, `conversions` adds up to the conversions of the sets and `revenue` to their revenue.
    """
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(table["conversion_type"].unique().to_pylist()):
        part = table.filter(pc.equal(table["conversion_type"], conversion_type))
        channel_sets = part["channel_set"].to_pylist()
        conversions = shapley_values(channel_sets, part["conversions"].to_pylist())
        revenue = shapley_values(channel_sets, part["revenue"].cast(pa.float64()).to_pylist())
        rows += [
            {
                "conversion_type": conversion_type,
                "channel": channel,
                "conversions": conversions[channel],
                "revenue": revenue[channel],
            }
            for channel in conversions
        ]
    return pa.Table.from_pylist(rows, schema=CHANNEL_TOTALS)

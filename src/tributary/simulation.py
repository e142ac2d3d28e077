"""A simulated market: people, channels that truly cause conversions, and what they leave behind.

Every person has an interest in the product, drawn once. Each day a channel may touch a person;
every touch raises the person's conversion hazard by the channel's effect, which fades
exponentially; a conversion uses up the touches before it. People also convert without any touch:
the more interested, the sooner. Some channels find interested people (search, direct) and some only
people seen before (retargeting), so that being on the path and causing the conversion are two
things, as in life.

Because every draw is made before it is known which channels are on, switching a channel off and
running again with the same draws gives the conversions that would not have happened without it:
the truth that attribution models can be scored against.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

FloatArray = npt.NDArray[np.float64]

PEOPLE_PER_CHUNK = 10_000
"""People are drawn in chunks of this many, so memory does not grow with their number."""

SECONDS_PER_DAY = 86_400


def _at_least(least: float, **numbers: float) -> None:
    for name, number in numbers.items():
        if not least <= number < np.inf:
            raise ValueError(f"{name} is {number}; it must be at least {least} and finite.")


@dataclass(frozen=True)
class Channel:
    """How a channel reaches people, what it causes and what it costs.

    Attributes
    ----------
    name
        The channel's name.
    touches_per_day
        Mean touches a day of a person of average interest; at least 0.
    interest_bias
        Exponent of a person's interest in the touch rate: 0 reaches everybody alike, 1 finds
        the interested in proportion.
    effect
        Conversions a day that a fresh touch adds to the hazard of a person; at least 0.
    decay_days
        Mean life of the effect in days; positive.
    cost_per_touch, cost_per_day
        Variable and fixed spend in currency units.
    needs_visit
        Whether the channel reaches only people touched by another channel before.
    """

    name: str
    touches_per_day: float
    interest_bias: float
    effect: float
    decay_days: float
    cost_per_touch: float = 0.0
    cost_per_day: float = 0.0
    needs_visit: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range.
        """
        _at_least(0, touches_per_day=self.touches_per_day, effect=self.effect)
        _at_least(0, cost_per_touch=self.cost_per_touch, cost_per_day=self.cost_per_day)
        if not self.decay_days > 0:
            raise ValueError(f"decay_days is {self.decay_days}; it must be positive.")


DEMO_CHANNELS: tuple[Channel, ...] = (
    Channel("Paid Search Brand", 0.006, 1.0, 0.010, 3.0, cost_per_touch=0.60),
    Channel("Paid Search Non Brand", 0.008, 0.5, 0.016, 4.0, cost_per_touch=1.10),
    Channel("Paid Social", 0.020, 0.0, 0.005, 6.0, cost_per_touch=0.35),
    Channel("Display Retargeting", 0.030, 0.3, 0.002, 3.0, cost_per_touch=0.12, needs_visit=True),
    Channel("Newsletter & Email", 0.008, 0.3, 0.006, 3.0, cost_per_touch=0.01),
    Channel("Affiliate & Partnerships", 0.003, 0.3, 0.014, 3.0, cost_per_touch=1.50),
    Channel("Organic Search", 0.012, 0.8, 0.003, 3.0),
    Channel("Direct", 0.012, 1.0, 0.001, 2.0),
    Channel("Podcast", 0.0, 0.0, 0.0, 1.0, cost_per_day=40.0),
)
"""The market of the demo. The podcast is paid for and reaches nobody."""


@dataclass(frozen=True)
class Market:
    """What is simulated.

    Attributes
    ----------
    channels
        The channels, at least one, with distinct names.
    people
        Number of people; at least 0.
    days
        Length of the simulated period in days; at least 1.
    first_day
        The first day, UTC.
    base_rate
        Conversions a day of a person of average interest without any touch; at least 0.
    interest_spread
        Standard deviation of the logarithm of interest (whose mean is 1); at least 0.
    mean_revenue
        Mean revenue of a conversion in currency units; at least 0.
    """

    channels: tuple[Channel, ...] = DEMO_CHANNELS
    people: int = 20_000
    days: int = 90
    first_day: date = date(2024, 1, 1)
    base_rate: float = 0.0003
    interest_spread: float = 1.0
    mean_revenue: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range or two channels share a name.
        """
        _at_least(0, people=self.people, base_rate=self.base_rate, mean_revenue=self.mean_revenue)
        _at_least(0, interest_spread=self.interest_spread)
        _at_least(1, days=self.days, channels=len(self.channels))
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError(f"Channel names must be distinct: {', '.join(names)}.")


@dataclass(frozen=True)
class Simulation:
    """What a simulated market leaves behind.

    Attributes
    ----------
    sessions
        session_id, user_id, started_at (UTC), channel, campaign, holder_engagement,
        closer_engagement, impression_interaction.
    conversions
        conversion_id, user_id, converted_at (UTC), revenue, conversion_type, currency.
    spend
        date, channel, spend, campaign.
    truth
        channel, touches, conversions_lost and revenue_lost: what would not have happened with the
        channel switched off and everything else as it was.
    """

    sessions: pa.Table
    conversions: pa.Table
    spend: pa.Table
    truth: pa.Table


def simulate(
    market: Market, seed: int, progress: Callable[[int], None] = lambda people: None
) -> Simulation:
    """Simulate a market and the truth about its channels.

    Parameters
    ----------
    market
        What to simulate.
    seed
        Seed of all randomness, at least 0: the same market and seed give the same tables. A
        person's life depends on the seed and the person's number alone, not on how many there are.
    progress
        Called after each chunk with the number of people finished in it.

    Returns
    -------
    Simulation
        Rows are sorted by time and then id. Takes O(people x days x channels^2) time, most of it
        for the truth, and memory for the events alone.
    """
    chunks = []
    for first_person in range(0, market.people, PEOPLE_PER_CHUNK):
        people = min(PEOPLE_PER_CHUNK, market.people - first_person)
        rng = np.random.default_rng([seed, first_person // PEOPLE_PER_CHUNK])
        chunks.append(_live(market, rng, first_person, people))
        progress(people)

    touches = _joined([chunk.touches for chunk in chunks], _TOUCH_FIELDS)
    conversions = _joined([chunk.conversions for chunk in chunks], _CONVERSION_FIELDS)
    lost = sum((chunk.lost for chunk in chunks), np.zeros((2, len(market.channels))))
    return Simulation(
        sessions=_session_table(market, touches),
        conversions=_conversion_table(market, conversions),
        spend=_spend_table(market, touches),
        truth=_truth_table(market, touches, lost),
    )


Events = dict[str, npt.NDArray[Any]]
"""Columns of equal length, one row per event."""

_TOUCH_FIELDS: dict[str, type] = {
    "person": np.int64,
    "day": np.int64,
    "channel": np.int64,
    "place": np.float64,
}
_CONVERSION_FIELDS: dict[str, type] = {
    "person": np.int64,
    "day": np.int64,
    "place": np.float64,
    "z": np.float64,
}


@dataclass(frozen=True)
class _Chunk:
    """The lives of some people, and what each channel's absence would have cost.

    `place` is where in its day an event lies, in [0, 1); `z` is the standard normal draw behind
    its revenue; `lost` has shape (2, channels): conversions and revenue.
    """

    touches: Events
    conversions: Events
    lost: FloatArray


def _live(market: Market, rng: np.random.Generator, first_person: int, people: int) -> _Chunk:
    """Run all scenarios of some people side by side: all channels on, then each one off."""
    channels = market.channels
    n_channels = len(channels)
    scenarios = 1 + n_channels
    is_on = np.ones((scenarios, n_channels), dtype=bool)
    is_on[np.arange(1, scenarios), np.arange(n_channels)] = False

    # Every chunk draws for its full size, so a person's draws do not depend on the last chunk's.
    size = PEOPLE_PER_CHUNK
    z_interest = rng.standard_normal(size)[:people]
    spread = market.interest_spread
    interest = np.exp(spread * z_interest - spread**2 / 2)
    touch_probability = np.stack(
        [
            -np.expm1(-channel.touches_per_day * interest**channel.interest_bias)
            for channel in channels
        ]
    )
    needs_visit = np.array([channel.needs_visit for channel in channels])
    effect = np.array([channel.effect for channel in channels], dtype=np.float32)
    fading = np.exp(-1 / np.array([channel.decay_days for channel in channels])).astype(np.float32)

    adstock = np.zeros((scenarios, n_channels, people), dtype=np.float32)
    was_visited = np.zeros((scenarios, people), dtype=bool)
    totals = np.zeros((2, scenarios))
    touches: list[Events] = []
    conversions: list[Events] = []
    for day in range(market.days):
        u_touch = rng.random((n_channels, size))[:, :people]
        u_convert = rng.random(size)[:people]
        z_revenue = rng.standard_normal(size)[:people]

        would_touch = u_touch < touch_probability
        touched = (
            would_touch & is_on[:, :, None] & (~needs_visit[:, None] | was_visited[:, None, :])
        )
        was_visited |= (touched & ~needs_visit[:, None]).any(axis=1)
        adstock *= fading[:, None]
        adstock += touched
        hazard = market.base_rate * interest + np.einsum("c,scp->sp", effect, adstock)
        convert_probability = -np.expm1(-hazard)
        converted = u_convert < convert_probability
        adstock *= ~converted[:, None, :]

        revenue = _revenue(market, z_revenue)
        totals[0] += converted.sum(axis=1)
        totals[1] += converted @ revenue

        # Given that it is below its threshold, a uniform draw is uniform below it: its place there
        # serves as the place in the day, without a draw of its own.
        channel, person = np.nonzero(touched[0])
        place = u_touch[channel, person] / touch_probability[channel, person]
        touches.append(_events(person=first_person + person, day=day, channel=channel, place=place))
        last_place = np.zeros(people)
        np.maximum.at(last_place, person, place)

        (buyer,) = np.nonzero(converted[0])
        rest = u_convert[buyer] / convert_probability[0, buyer]
        conversions.append(
            _events(
                person=first_person + buyer,
                day=day,
                place=last_place[buyer] + (1 - last_place[buyer]) * rest,
                z=z_revenue[buyer],
            )
        )

    return _Chunk(
        touches=_joined(touches, _TOUCH_FIELDS),
        conversions=_joined(conversions, _CONVERSION_FIELDS),
        lost=totals[:, :1] - totals[:, 1:],
    )


def _revenue(market: Market, z: FloatArray) -> FloatArray:
    """Revenue in whole cents: lognormal with the market's mean and a spread of 0.6."""
    return np.round(market.mean_revenue * np.exp(0.6 * z - 0.18), 2)


def _events(**columns: npt.ArrayLike) -> Events:
    """Columns of one length, scalars repeated."""
    arrays = np.broadcast_arrays(*(np.asarray(column) for column in columns.values()))
    return dict(zip(columns, arrays, strict=True))


def _joined(parts: list[Events], fields: dict[str, type]) -> Events:
    """One set of columns from several, also from none."""
    return {
        name: np.concatenate([part[name] for part in parts] or [np.empty(0)]).astype(dtype)
        for name, dtype in fields.items()
    }


def _times(market: Market, events: Events) -> pa.Array:
    """When events happen: UTC timestamps in whole microseconds, within the event's day."""
    microseconds = ((events["day"] + events["place"]) * SECONDS_PER_DAY * 1e6).astype(np.int64)
    first_day = np.datetime64(market.first_day, "us")
    return pa.array(first_day + microseconds.astype("timedelta64[us]"))


def _ids(prefix: str, *numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Ids such as s12-3-4 from a prefix and the numbers that make the event unique."""
    texts = [pa.array(number).cast(pa.string()) for number in numbers]
    return pc.binary_join_element_wise(prefix, pc.binary_join_element_wise(*texts, "-"), "")


def _campaigns(market: Market, touches: Events) -> pa.Array:
    """Name the campaign of each touch; channels without spend per touch have none."""
    is_paid = np.array([channel.cost_per_touch > 0 for channel in market.channels])
    names = np.where(touches["person"] % 3 == 0, "launch", "evergreen")
    return pa.array(names, mask=~is_paid[touches["channel"]])


def _channel_names(market: Market, channel: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array([each.name for each in market.channels], pa.string()).take(pa.array(channel))


def _session_table(market: Market, touches: Events) -> pa.Table:
    # The last digits of the place in the day are as good as a draw of their own.
    luck = touches["place"] * 1e6 % 1
    table = pa.table(
        {
            "session_id": _ids("s", touches["person"], touches["day"], touches["channel"]),
            "user_id": _ids("u", touches["person"]),
            "started_at": _times(market, touches),
            "channel": _channel_names(market, touches["channel"]),
            "campaign": _campaigns(market, touches),
            "holder_engagement": luck < 0.8,
            "closer_engagement": luck < 0.5,
            "impression_interaction": luck < 0.1,
        }
    )
    return table.sort_by([("started_at", "ascending"), ("session_id", "ascending")])


def _conversion_table(market: Market, conversions: Events) -> pa.Table:
    count = len(conversions["person"])
    table = pa.table(
        {
            "conversion_id": _ids("c", conversions["person"], conversions["day"]),
            "user_id": _ids("u", conversions["person"]),
            "converted_at": _times(market, conversions),
            "revenue": _revenue(market, conversions["z"]),
            "conversion_type": pa.repeat("purchase", count),
            "currency": pa.repeat("EUR", count),
        }
    )
    return table.sort_by([("converted_at", "ascending"), ("conversion_id", "ascending")])


def _spend_table(market: Market, touches: Events) -> pa.Table:
    """Daily spend per channel and campaign; a channel's fixed cost belongs to its evergreen one."""
    per_touch = np.array([channel.cost_per_touch for channel in market.channels])
    per_day = np.array([channel.cost_per_day for channel in market.channels])
    variable = pa.table(
        {
            "day": touches["day"],
            "channel": _channel_names(market, touches["channel"]),
            "campaign": _campaigns(market, touches),
            "spend": per_touch[touches["channel"]],
        }
    )
    day, channel = np.indices((market.days, len(market.channels))).reshape(2, -1)
    fixed = pa.table(
        {
            "day": day,
            "channel": _channel_names(market, channel),
            "campaign": pa.repeat("evergreen", len(day)),
            "spend": per_day[channel],
        }
    )
    table = (
        pa.concat_tables([variable, fixed])
        .filter(pc.field("spend") > 0)
        .group_by(["day", "channel", "campaign"])
        .aggregate([("spend", "sum")])
        .sort_by([("day", "ascending"), ("channel", "ascending"), ("campaign", "ascending")])
    )
    first_day = np.datetime64(market.first_day, "D")
    return pa.table(
        {
            "date": first_day + table["day"].to_numpy().astype("timedelta64[D]"),
            "channel": table["channel"],
            "spend": np.round(table["spend_sum"].to_numpy(), 2),
            "campaign": table["campaign"],
        }
    )


def _truth_table(market: Market, touches: Events, lost: FloatArray) -> pa.Table:
    return pa.table(
        {
            "channel": [channel.name for channel in market.channels],
            "touches": np.bincount(touches["channel"], minlength=len(market.channels)),
            "conversions_lost": lost[0].astype(np.int64),
            "revenue_lost": np.round(lost[1], 2),
        }
    )

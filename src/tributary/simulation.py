"""A simulated market: people, channels that truly cause conversions, and what they leave behind.

Every person has an interest in the product, drawn once, and may have bursts of intent. Each day a
channel may touch a person; every touch raises the person's conversion hazard by the channel's
effect, which fades exponentially; a conversion uses up the touches before it. People also convert
without any touch: the more interested, the sooner. Some channels find interested people (search,
direct) and some only people seen before (retargeting), so that being on the path and causing the
conversion are two things, as in life. Channels may reinforce each other, prompt visits through
other channels, or, in a market with a funnel, move people from stage to stage instead.

Because every draw is made before it is known which channels are on, any coalition of channels can
be run again with the same draws. The truth about a channel is its Shapley value in that game: what
it adds to the conversions on average over all orders in which the channels could be switched on.
The true baseline is what happens with all of them off. Both together are all conversions, exactly.

Two exact short cuts make it cheap. A person whom only k channels could touch has 2^k different
lives, not 2^n. And only people are run again who could convert at all: a first run with every
channel on, in which nothing is ever used up, saturated or forgotten, bounds the hazard of every
other life from above.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from math import factorial
from multiprocessing import get_context
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PEOPLE_PER_CHUNK = 10_000
"""People are drawn in chunks of this many, so memory does not grow with their number."""

LIVES_PER_BLOCK = 20_000
"""Lives that are run side by side, so that their state fits into the processor's cache."""

MOST_CHANNELS = 12
"""The lives of a person double with every channel that could touch them."""

BASELINE = "(baseline)"
"""The row of the truth that holds what happens without any channel."""

SECONDS_PER_DAY = 86_400

CAMPAIGNS = ("evergreen", "launch")
"""Of every channel that costs something per touch."""


def _at_least(least: float, **numbers: float) -> None:
    for name, number in numbers.items():
        if not least <= number < np.inf:
            raise ValueError(f"{name} is {number}; it must be at least {least} and finite.")


def _share(**numbers: float) -> None:
    for name, number in numbers.items():
        if not 0 <= number <= 1:
            raise ValueError(f"{name} is {number}; it must be between 0 and 1.")


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
        Exponent of a person's current interest in the touch rate: 0 reaches everybody alike, 1
        finds the interested in proportion.
    effect
        Conversions a day that a fresh touch adds to the hazard of a person; in a multiplicative
        market what it adds to the logarithm of the hazard; at least 0.
    decay_days
        Mean life of the effect in days; positive.
    cost_per_touch, cost_per_day
        Variable and fixed spend in currency units.
    needs_visit
        Whether the channel reaches only people touched by another channel before.
    diminishing
        Each touch of a person has this times the effect of the channel's touch before; 0 to 1.
    prompts
        Touches a day through each prompted channel that a fresh touch adds, fading as its effect;
        at least 0.
    is_prompted
        Whether touches of other channels prompt touches of this one.
    is_behaviour
        Whether touches are the person's own doing, such as direct visits, which nobody can switch
        off: no channel in the sense of the truth. What they bring about belongs to the channels
        that prompted them and to the baseline.
    moves
        In a market with a funnel: probabilities that a touch moves a person up from the first and
        from the second stage.
    """

    name: str
    touches_per_day: float
    interest_bias: float
    effect: float
    decay_days: float
    cost_per_touch: float = 0.0
    cost_per_day: float = 0.0
    needs_visit: bool = False
    diminishing: float = 1.0
    prompts: float = 0.0
    is_prompted: bool = False
    is_behaviour: bool = False
    moves: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range.
        """
        _at_least(0, touches_per_day=self.touches_per_day, effect=self.effect)
        _at_least(0, cost_per_touch=self.cost_per_touch, cost_per_day=self.cost_per_day)
        _at_least(0, interest_bias=self.interest_bias, prompts=self.prompts)
        _share(diminishing=self.diminishing, moves=min(self.moves))
        _share(moves=max(self.moves))
        if not self.decay_days > 0:
            raise ValueError(f"decay_days is {self.decay_days}; it must be positive.")


@dataclass(frozen=True)
class Bursts:
    """Times in which a person's interest is higher than usual.

    Attributes
    ----------
    per_day
        Probability that a burst begins on a day without one.
    mean_days
        Mean length in days; at least 1.
    lift
        Factor of the interest while it lasts; at least 1.
    """

    per_day: float
    mean_days: float
    lift: float

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range.
        """
        _share(per_day=self.per_day)
        _at_least(1, mean_days=self.mean_days, lift=self.lift)


@dataclass(frozen=True)
class Funnel:
    """Three stages of a person, from unaware over aware to considering.

    A touch moves a person up at once, with the probability of its channel for that stage. People
    also move up by themselves and fall back; a conversion sends them to the first stage.

    Attributes
    ----------
    rates
        Conversions a day of a person of average interest in each stage, not falling.
    interest
        Factor of the interest that channels find in each stage, not falling, at least 1.
    rise_per_day
        Probability a day to move up without a touch.
    fall_per_day
        Probability a day to fall back one stage.
    """

    rates: tuple[float, float, float]
    interest: tuple[float, float, float] = (1.0, 1.0, 1.0)
    rise_per_day: float = 0.0
    fall_per_day: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range or a later stage is worth less than an earlier one.
        """
        _at_least(0, rates=min(self.rates))
        _at_least(1, interest=min(self.interest))
        _share(rise_per_day=self.rise_per_day, fall_per_day=self.fall_per_day)
        _share(rise_or_fall_per_day=self.rise_per_day + self.fall_per_day)
        for name in ("rates", "interest"):
            stages = getattr(self, name)
            if list(stages) != sorted(stages):
                raise ValueError(f"{name} are {stages}; they must not fall from stage to stage.")


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
    bursts
        Bursts of interest, or none.
    is_multiplicative
        Whether touches multiply the base rate instead of adding to it.
    synergies
        Pairs of channels, and what the product of their fading touches adds to the hazard (in a
        multiplicative market to its logarithm) beside their own effects; at least 0.
    funnel
        Stages between which touches move people, or none. Its rates replace the base rate.
    is_immediate
        Whether a touch acts from its own moment on. Otherwise it acts on the whole of its day, and
        conversions come after every touch of their day.
    profiles
        Number of equally large groups that a person's interest can roughly be read from, such as
        customer segments: the column `profile` of sessions. 0 for no such column.
    tested
        Names of channels that are withheld from people at random, no two from the same person.
    holdout_share
        Share of the people from whom each tested channel is withheld.
    """

    channels: tuple[Channel, ...] = DEMO_CHANNELS
    people: int = 20_000
    days: int = 90
    first_day: date = date(2024, 1, 1)
    base_rate: float = 0.0003
    interest_spread: float = 1.0
    mean_revenue: float = 60.0
    bursts: Bursts | None = None
    is_multiplicative: bool = False
    synergies: tuple[tuple[str, str, float], ...] = ()
    funnel: Funnel | None = None
    is_immediate: bool = False
    profiles: int = 0
    tested: tuple[str, ...] = ()
    holdout_share: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a number is out of its range, two channels share a name, or a name is not a channel.
        """
        _at_least(0, people=self.people, base_rate=self.base_rate, mean_revenue=self.mean_revenue)
        _at_least(0, interest_spread=self.interest_spread, profiles=self.profiles)
        _at_least(1, days=self.days, channels=len(self.channels))
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError(f"Channel names must be distinct: {', '.join(names)}.")
        switchable = self.switchable
        for first, second, strength in self.synergies:
            _at_least(0, synergies=strength)
            if first == second or not {first, second} <= set(names):
                raise ValueError(f"A synergy joins two channels; {first} and {second} are not.")
        _share(holdout_share=self.holdout_share)
        if round(self.holdout_share * len(self.tested), 9) >= 1:
            raise ValueError(
                f"{len(self.tested)} channels, each withheld from {self.holdout_share:.0%} of the "
                "people, leave nobody to compare with."
            )
        for name in self.tested:
            if name not in switchable or self.tested.count(name) > 1:
                raise ValueError(
                    f"{name} cannot be tested; each of these can, once: {', '.join(switchable)}."
                )

    @property
    def switchable(self) -> list[str]:
        """Names of the channels that somebody could switch off."""
        return [channel.name for channel in self.channels if not channel.is_behaviour]


@dataclass(frozen=True)
class Simulation:
    """What a simulated market leaves behind.

    Attributes
    ----------
    sessions
        session_id, user_id, started_at (UTC), channel, campaign, holder_engagement,
        closer_engagement, impression_interaction and, in a market with profiles, profile.
    conversions
        conversion_id, user_id, converted_at (UTC), revenue, conversion_type, currency.
    spend
        date, channel, spend, campaign.
    truth
        channel, kind, touches, true_conversions, true_revenue, true_share, conversions_lost and
        revenue_lost. Kind is channel, behaviour or baseline, which is one row, the last. True
        conversions are Shapley values and add up, with the baseline, to all conversions; shares
        are of all conversions. Lost is what would not have happened with the channel switched off
        and everything else as it was: empty where there is nothing to switch off.
    experiments
        One row per tested channel: channel, kind (ghost), start_date, end_date (inclusive),
        people_held_out, people_control, conversions_held_out, conversions_control, lift,
        std_error. The control group is everybody from whom nothing is withheld. Conversions count
        from the first touch on, or the first touch that was withheld: before it both groups live
        alike, and what happens there is noise. The lift is in conversions of the period:
        (conversions per person in control - held out) x the people from whom the channel was not
        withheld, so that it estimates what the channel brought about among the conversions that
        were observed.
    holdouts
        user_id, the channel withheld from that person, and first_withheld_at (UTC), when it would
        have touched the person first; empty if never.
    """

    sessions: pa.Table
    conversions: pa.Table
    spend: pa.Table
    truth: pa.Table
    experiments: pa.Table
    holdouts: pa.Table


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
        Rows are sorted by time and then id. Takes O(days x channels x lives) time, where lives are
        the people plus, for people who could convert, 2^k for k channels that could touch them;
        and memory for the events alone.

    Raises
    ------
    ValueError
        If there are more channels than the truth can be computed for.
    """
    if len(market.switchable) > MOST_CHANNELS:
        raise ValueError(
            f"There are {len(market.switchable)} channels; the truth is computed for at most "
            f"{MOST_CHANNELS}."
        )
    chunks = []
    for first_person in range(0, market.people, PEOPLE_PER_CHUNK):
        people, draws = _chunk_draws(market, seed, first_person)
        chunks.append(_live(market, draws, first_person, people))
        progress(people)

    touches = _joined([chunk.touches for chunk in chunks], _TOUCH_FIELDS)
    withheld = _joined([chunk.withheld_touches for chunk in chunks], _TOUCH_FIELDS)
    conversions = _joined([chunk.conversions for chunk in chunks], _CONVERSION_FIELDS)
    people_columns = _joined([chunk.people for chunk in chunks], _PERSON_FIELDS)
    nothing = np.zeros((2, len(market.channels) + 1))
    return Simulation(
        sessions=_session_table(market, touches, people_columns["profile"][touches["person"]]),
        conversions=_conversion_table(market, conversions),
        spend=spend_table(market, _touch_counts(market, touches)),
        truth=_truth_table(
            market,
            touches,
            caused=sum((chunk.caused for chunk in chunks), nothing),
            lost=sum((chunk.lost for chunk in chunks), nothing[:, 1:]),
        ),
        experiments=_experiment_table(market, touches, withheld, conversions, people_columns),
        holdouts=_holdout_table(market, withheld, people_columns),
    )


@dataclass(frozen=True)
class LifeRecords:
    """What some people of a market left behind, without the truth about it.

    Attributes
    ----------
    people
        How many they are.
    sessions, conversions
        As in a `Simulation`.
    touch_counts
        Shape (days, channels, 2): touches by day, channel and campaign (evergreen, launch). They
        add up over people; `spend_table` makes spend of them.
    """

    people: int
    sessions: pa.Table
    conversions: pa.Table
    touch_counts: IntArray


def stream_lives(market: Market, seed: int, processes: int = 1) -> Iterator[LifeRecords]:
    """Simulate a market of any size and any number of channels, a few people at a time.

    The same people live the same lives as in `simulate`; only nobody's life is lived again to learn
    what caused it. Memory is that of a few chunks of people and grows with days x channels.

    Parameters
    ----------
    market, seed
        As of `simulate`.
    processes
        How many to simulate in, at least 1. What comes out, and its order, do not depend on it.
    """
    chunks = range(0, market.people, PEOPLE_PER_CHUNK)
    if processes == 1:
        yield from (_life_records(market, seed, first_person) for first_person in chunks)
        return
    # Started anew and not forked: a fork copies the locks of threads that it does not copy.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way: deque[Future[LifeRecords]] = deque()
        for first_person in chunks:
            # No more at a time than are worked on, so that none wait in memory to be taken.
            if len(under_way) > processes:
                yield under_way.popleft().result()
            under_way.append(pool.submit(_life_records, market, seed, first_person))
        while under_way:
            yield under_way.popleft().result()


def _life_records(market: Market, seed: int, first_person: int) -> LifeRecords:
    """Run the lives of one chunk as they are, and none of the others they could have been."""
    people, draws = _chunk_draws(market, seed, first_person)
    real = _run(market, draws, np.arange(people), _channels_on(market, draws), is_recorded=True)
    # Read before people are numbered within the market.
    profile = draws.profile[real.touch_events["person"]]
    for events in (real.touch_events, real.conversion_events):
        events["person"] += first_person
    return LifeRecords(
        people=people,
        sessions=_session_table(market, real.touch_events, profile),
        conversions=_conversion_table(market, real.conversion_events),
        touch_counts=_touch_counts(market, real.touch_events),
    )


Events = dict[str, npt.NDArray[Any]]
"""Columns of equal length, one row per event or person."""

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
_PERSON_FIELDS: dict[str, type] = {"withheld": np.int64, "profile": np.int64}


@dataclass(frozen=True)
class _Chunk:
    """The lives of some people, and what channels truly did to them.

    `place` is where in its day an event lies, in [0, 1); `z` is the standard normal draw behind
    its revenue; `withheld` is a channel's number or -1, and `withheld_touches` are those that did
    not happen because of it. `caused`, of shape (2, channels + 1), holds
    conversions and revenue, the baseline last; `lost` has shape (2, channels).
    """

    touches: Events
    withheld_touches: Events
    conversions: Events
    people: Events
    caused: FloatArray
    lost: FloatArray


@dataclass(frozen=True)
class _Draws:
    """All randomness of some people: nothing in it depends on which channels are on.

    `interest` has shape (people,); `u_touch` and `u_move` (days, channels, people); the others
    (days, people). `u_stage` and `u_move` are empty in a market without a funnel.
    """

    interest: FloatArray
    is_burst: BoolArray
    u_touch: FloatArray
    u_convert: FloatArray
    z_revenue: FloatArray
    u_stage: FloatArray
    u_move: FloatArray
    withheld: IntArray
    profile: IntArray


@dataclass(frozen=True)
class _Lives:
    """What came of some lives: conversions and revenue of each, and the events of all.

    `reached`, of shape (channels, lives), says which channels touched. Events are empty where they
    are not recorded.
    """

    conversions: FloatArray
    revenue: FloatArray
    reached: BoolArray
    touch_events: Events
    withheld_events: Events
    conversion_events: Events


def _draw(market: Market, rng: np.random.Generator, people: int) -> _Draws:
    """Draw everything, always for a full chunk, so that a person's draws do not depend on it."""
    size = PEOPLE_PER_CHUNK
    n_channels = len(market.channels)
    z_interest = rng.standard_normal(size)[:people]
    spread = market.interest_spread
    withheld = np.full(people, -1)
    if market.tested:
        numbers = {channel.name: number for number, channel in enumerate(market.channels)}
        # Groups of the given share, one after the other; who is in none is in control.
        bounds = market.holdout_share * np.arange(1, len(market.tested) + 1)
        groups = np.array([numbers[name] for name in market.tested] + [-1])
        withheld = groups[np.searchsorted(bounds, rng.random(size)[:people], side="right")]
    profile = np.zeros(people, dtype=np.int64)
    if market.profiles:
        noisy = (z_interest + 0.75 * rng.standard_normal(size)[:people]) / 1.25
        normal = NormalDist()
        cuts = [normal.inv_cdf(part / market.profiles) for part in range(1, market.profiles)]
        profile = np.searchsorted(cuts, noisy)
    bursts = market.bursts
    is_burst = np.zeros((market.days, people), dtype=bool)
    if bursts:
        odds = bursts.per_day * bursts.mean_days
        u_burst = rng.random((market.days + 1, size))[:, :people]
        bursting = u_burst[0] < odds / (1 + odds)
        for day in range(market.days):
            bursting = u_burst[day + 1] < np.where(
                bursting, 1 - 1 / bursts.mean_days, bursts.per_day
            )
            is_burst[day] = bursting

    u_touch = np.empty((market.days, n_channels, people))
    u_convert = np.empty((market.days, people))
    z_revenue = np.empty((market.days, people))
    funnel_days = market.days if market.funnel else 0
    u_stage = np.empty((funnel_days, people))
    u_move = np.empty((funnel_days, n_channels, people))
    for day in range(market.days):
        u_touch[day] = rng.random((n_channels, size))[:, :people]
        u_convert[day] = rng.random(size)[:people]
        z_revenue[day] = rng.standard_normal(size)[:people]
        if market.funnel:
            u_stage[day] = rng.random(size)[:people]
            u_move[day] = rng.random((n_channels, size))[:, :people]
    return _Draws(
        interest=np.exp(spread * z_interest - spread**2 / 2),
        is_burst=is_burst,
        u_touch=u_touch,
        u_convert=u_convert,
        z_revenue=z_revenue,
        u_stage=u_stage,
        u_move=u_move,
        withheld=withheld,
        profile=profile,
    )


def _chunk_draws(market: Market, seed: int, first_person: int) -> tuple[int, _Draws]:
    """Tell how many people are in the chunk that begins with a person, and draw for them."""
    people = min(PEOPLE_PER_CHUNK, market.people - first_person)
    rng = np.random.default_rng([seed, first_person // PEOPLE_PER_CHUNK])
    return people, _draw(market, rng, people)


def _channels_on(market: Market, draws: _Draws) -> BoolArray:
    """Tell which channels are not withheld from whom, shape (channels, people)."""
    is_on: BoolArray = np.arange(len(market.channels))[:, None] != draws.withheld
    return is_on


def _live(market: Market, draws: _Draws, first_person: int, people: int) -> _Chunk:
    """Run the lives of some people: as they are, and in every coalition that matters to them."""
    person = np.arange(people)
    is_on = _channels_on(market, draws)
    is_behaviour = np.array([channel.is_behaviour for channel in market.channels])

    real = _run(market, draws, person, is_on, is_recorded=True)
    bound = _run(market, draws, person, is_on, is_bound=True)
    (candidate,) = np.nonzero(bound.conversions)
    may_reach = bound.reached[:, candidate] & ~is_behaviour[:, None]

    caused = np.zeros((2, len(market.channels) + 1))
    lost = np.zeros((2, len(market.channels)))
    for life in _coalitions(may_reach):
        lives = _run(market, draws, candidate[life.person], life.members | is_behaviour[:, None])
        outcome = np.stack([lives.conversions, lives.revenue])
        caused[:, :-1] += outcome @ life.shapley_weight.T
        caused[:, -1] += outcome @ ~life.members.any(axis=0)
        lost += outcome @ life.loss_weight.T

    for events in (real.touch_events, real.withheld_events, real.conversion_events):
        events["person"] += first_person
    return _Chunk(
        touches=real.touch_events,
        withheld_touches=real.withheld_events,
        conversions=real.conversion_events,
        people={"withheld": draws.withheld, "profile": draws.profile},
        caused=caused,
        lost=lost,
    )


@dataclass(frozen=True)
class _Coalitions:
    """Lives of some people, one for every coalition of the channels that could touch them.

    `person` has shape (lives,), the others (channels, lives). The weighted sum of what came of the
    lives is, for every channel, its Shapley value, or what is lost without it.
    """

    person: IntArray
    members: BoolArray
    shapley_weight: FloatArray
    loss_weight: FloatArray


def _coalitions(may_reach: BoolArray) -> Iterator[_Coalitions]:
    """Enumerate the coalitions of every person, given which channels could touch whom.

    A channel that cannot touch a person changes nothing in that person's life: its value there is
    0, and those of the others are what they are without it.
    """
    n_channels = len(may_reach)
    player_counts = may_reach.sum(axis=0)
    for k in range(n_channels + 1):
        (people,) = np.nonzero(player_counts == k)
        size = 2**k
        has_joined = (np.arange(size)[:, None] >> np.arange(k)) % 2 == 1
        count = has_joined.sum(axis=1)
        joining = [factorial(n - 1) * factorial(k - n) if n else 0 for n in count]
        leaving = [factorial(n) * factorial(k - n - 1) if n < k else 0 for n in count]
        orders = np.where(has_joined, np.c_[joining], -np.c_[leaving])
        shapley = orders / factorial(k)
        loss = (count == k)[:, None] - 1.0 * ((count == k - 1)[:, None] & ~has_joined)
        step = max(1, LIVES_PER_BLOCK // size)
        for start in range(0, len(people), step):
            block = people[start : start + step]
            players = np.nonzero(may_reach[:, block].T)[1].reshape(len(block), k)

            def spread(
                values: npt.NDArray[Any], block: IntArray = block, players: IntArray = players
            ) -> npt.NDArray[Any]:
                full = np.zeros((len(block), len(values), n_channels), dtype=values.dtype)
                np.put_along_axis(full, players[:, None, :], values[None], axis=2)
                return full.reshape(-1, n_channels).T

            yield _Coalitions(
                person=np.repeat(block, size),
                members=spread(has_joined),
                shapley_weight=spread(shapley),
                loss_weight=spread(loss),
            )


def _run(
    market: Market,
    draws: _Draws,
    person: IntArray,
    is_on: BoolArray,
    *,
    is_bound: bool = False,
    is_recorded: bool = False,
) -> _Lives:
    """Run lives side by side.

    Parameters
    ----------
    market, draws
        The world and its randomness.
    person
        Whose life it is, shape (lives,).
    is_on
        Which channels are on, shape (channels, lives).
    is_bound
        Let nothing be used up, saturated or forgotten: then touches and hazard are at least those
        of any other life of the person, whichever channels are on in it.
    is_recorded
        Whether to keep the events, with the day and the place in the day of each.
    """
    channels, funnel, bursts = market.channels, market.funnel, market.bursts
    numbers = {channel.name: number for number, channel in enumerate(channels)}
    bias = np.array([[channel.interest_bias] for channel in channels])
    needs_visit = np.array([[channel.needs_visit] for channel in channels])
    effect = np.array([channel.effect for channel in channels], dtype=np.float32)
    fading = np.exp(-1 / np.array([[channel.decay_days] for channel in channels])).astype("f4")
    diminishing = np.array([[channel.diminishing] for channel in channels], dtype=np.float32)
    prompts = np.array([channel.prompts for channel in channels], dtype=np.float32)
    is_prompted = np.array([channel.is_prompted for channel in channels])
    synergies = [(numbers[a], numbers[b], strength) for a, b, strength in market.synergies]
    is_saturating = not is_bound and bool((diminishing < 1).any())
    is_prompting = bool(prompts.any())
    stage_rates = np.array(funnel.rates if funnel else ())
    stage_pull = (np.array(funnel.interest) if funnel else np.ones(3)) ** bias
    moves = np.array([(*channel.moves, 0.0) for channel in channels])

    def hazard(base: FloatArray, level: npt.NDArray[np.float32]) -> FloatArray:
        raised = np.einsum("c,cl->l", effect, level)
        for first, second, strength in synergies:
            raised += np.float32(strength) * level[first] * level[second]
        total: FloatArray = base * np.exp(raised) if market.is_multiplicative else base + raised
        return total

    interest = draws.interest[person]
    mean_touches = np.array([[channel.touches_per_day] for channel in channels]) * interest**bias
    probability = -np.expm1(-mean_touches)
    n_lives = len(person)
    adstock = np.zeros((len(channels), n_lives), dtype=np.float32)
    weight = np.ones((len(channels), n_lives), dtype=np.float32)
    was_visited = np.zeros(n_lives, dtype=bool)
    stage = np.zeros(n_lives, dtype=np.int64)
    reached = np.zeros((len(channels), n_lives), dtype=bool)
    conversions = np.zeros(n_lives)
    revenue = np.zeros(n_lives)
    touch_events: list[Events] = []
    withheld_events: list[Events] = []
    conversion_events: list[Events] = []

    for day in range(market.days):
        adstock *= fading
        boost = np.where(draws.is_burst[day, person], bursts.lift, 1.0) if bursts else 1.0
        if funnel:
            u_stage = draws.u_stage[day, person]
            rises = (u_stage < funnel.rise_per_day) & (stage < 2)
            falls = (u_stage >= 1 - funnel.fall_per_day) & (stage > 0) & (not is_bound)
            stage += rises.astype(np.int64) - falls
        if bursts or funnel or is_prompting:
            rate = mean_touches * stage_pull[:, stage] if funnel else mean_touches.copy()
            if bursts:
                rate *= np.where(draws.is_burst[day, person], bursts.lift**bias, 1.0)
            if is_prompting:
                rate[is_prompted] += prompts @ adstock
            probability = -np.expm1(-rate)

        u_touch = draws.u_touch[day][:, person]
        would_touch = (u_touch < probability) & (~needs_visit | was_visited)
        touched = would_touch & is_on
        was_visited |= (touched & ~needs_visit).any(axis=0)
        reached |= touched

        # Given that it is below its threshold, a uniform draw is uniform below it: its place there
        # serves as the place in the day, without a draw of its own.
        channel, life = np.nonzero(touched)
        place = u_touch[channel, life] / probability[channel, life]
        fresh = weight * touched
        acting = fresh
        if market.is_immediate:
            acting = fresh.copy()
            acting[channel, life] *= 1 - place

        base = market.base_rate * interest * boost
        base_before = base
        gain = np.zeros((len(channels), n_lives)) if funnel else effect[:, None] * acting
        if funnel:
            base_before = base = stage_rates[stage] * interest * boost
            u_move = draws.u_move[day, channel, person[life]]
            for number in range(len(channels)):
                here = life[channel == number]
                here = here[u_move[channel == number] < moves[number, stage[here]]]
                step = stage_rates[stage[here] + 1] - stage_rates[stage[here]]
                gain[number, here] = step * (interest * boost)[here] * acting[number, here]
                stage[here] += 1
            base = base + gain.sum(axis=0)
        total = hazard(base, adstock + acting)
        convert_probability = -np.expm1(-total)
        u_convert = draws.u_convert[day, person]
        converted = u_convert < convert_probability
        (buyer,) = np.nonzero(converted)
        z = draws.z_revenue[day, person[buyer]]
        conversions[buyer] += 1
        revenue[buyer] += _revenue(market, z)

        if is_recorded:
            touch_events.append(_events(person=person[life], day=day, channel=channel, place=place))
            missed, misser = np.nonzero(would_touch & ~is_on)
            missed_place = u_touch[missed, misser] / probability[missed, misser]
            withheld_events.append(
                _events(person=person[misser], day=day, channel=missed, place=missed_place)
            )
            places = np.zeros((len(channels), n_lives))
            places[channel, life] = place
            places = places[:, buyer]
            rest = u_convert[buyer] / convert_probability[buyer]
            if market.is_immediate:
                steady = hazard(base_before[buyer], adstock[:, buyer]) / total[buyer]
                moment = _moments(rest, places, gain[:, buyer], steady)
            else:
                last_place = places.max(axis=0)
                moment = last_place + (1 - last_place) * rest
            conversion_events.append(_events(person=person[buyer], day=day, place=moment, z=z))

        adstock += fresh
        if is_saturating:
            weight *= np.where(touched, diminishing, np.float32(1))
        if not is_bound:
            adstock[:, buyer] = 0
            stage[buyer] = 0

    return _Lives(
        conversions=conversions,
        revenue=revenue,
        reached=reached,
        touch_events=_joined(touch_events, _TOUCH_FIELDS),
        withheld_events=_joined(withheld_events, _TOUCH_FIELDS),
        conversion_events=_joined(conversion_events, _CONVERSION_FIELDS),
    )


def _moments(
    rest: FloatArray, places: FloatArray, gain: FloatArray, steady: FloatArray
) -> FloatArray:
    """Place conversions in their day: anywhere for what was there before, else after its touch.

    Parameters
    ----------
    rest
        Uniform draws in [0, 1), one per conversion.
    places, gain
        Where in the day each channel touched, and what that added to the day's hazard (only the
        proportions count), shape (channels, conversions).
    steady
        Share of the day's hazard that does not come from its touches.
    """
    share = (1 - steady) * gain / np.maximum(gain.sum(axis=0), np.finfo(float).tiny)
    share = np.vstack([1 - share.sum(axis=0), share])
    upper = share.cumsum(axis=0)
    source = np.minimum((rest >= upper).sum(axis=0), len(share) - 1)
    conversion = np.arange(len(rest))
    lower = (upper - share)[source, conversion]
    within = (rest - lower) / share[source, conversion]
    earliest = np.vstack([np.zeros(len(rest)), places])[source, conversion]
    moments: FloatArray = earliest + (1 - earliest) * np.clip(within, 0, np.nextafter(1, 0))
    return moments


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
    campaign = pa.array(_is_launch(touches).astype(np.int64), mask=~is_paid[touches["channel"]])
    return pa.array(CAMPAIGNS, pa.string()).take(campaign)


def _is_launch(touches: Events) -> BoolArray:
    is_launch: BoolArray = touches["person"] % 3 == 0
    return is_launch


def _channel_names(market: Market, channel: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array([each.name for each in market.channels], pa.string()).take(pa.array(channel))


def _session_table(market: Market, touches: Events, profile: IntArray) -> pa.Table:
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
    if market.profiles:
        table = table.append_column("profile", _ids("profile ", profile + 1))
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


def _touch_counts(market: Market, touches: Events) -> IntArray:
    """Count touches by day, channel and campaign (evergreen, launch)."""
    shape = (market.days, len(market.channels), len(CAMPAIGNS))
    place = np.ravel_multi_index(
        (touches["day"], touches["channel"], _is_launch(touches).astype(np.int64)), shape
    )
    counts: IntArray = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)
    return counts


def spend_table(market: Market, touch_counts: IntArray) -> pa.Table:
    """Daily spend per channel and campaign; a channel's fixed cost belongs to its evergreen one.

    Parameters
    ----------
    market
        Whose costs count.
    touch_counts
        Shape (days, channels, 2), as in `LifeRecords`, added up over people.

    Returns
    -------
    pyarrow.Table
        date, channel, spend, campaign; sorted by day, channel and campaign.
    """
    per_touch = np.array([[channel.cost_per_touch] for channel in market.channels])
    spend = touch_counts * per_touch
    spend[:, :, 0] += [channel.cost_per_day for channel in market.channels]
    day, channel, campaign = np.nonzero(spend > 0)
    first_day = np.datetime64(market.first_day, "D")
    table = pa.table(
        {
            "date": first_day + day.astype("timedelta64[D]"),
            "channel": _channel_names(market, channel),
            "spend": np.round(spend[day, channel, campaign], 2),
            "campaign": pa.array(CAMPAIGNS, pa.string()).take(pa.array(campaign)),
        }
    )
    return table.sort_by([(name, "ascending") for name in ("date", "channel", "campaign")])


def _truth_table(market: Market, touches: Events, caused: FloatArray, lost: FloatArray) -> pa.Table:
    kinds = ["behaviour" if channel.is_behaviour else "channel" for channel in market.channels]
    kinds.append("baseline")
    nothing_to_lose = np.array([kind != "channel" for kind in kinds])
    total = caused[0].sum()
    lost = np.column_stack([lost, [0, 0]])
    caused = np.round(caused, 9) + 0.0  # without the rounding errors of values that are zero
    return pa.table(
        {
            "channel": [*(channel.name for channel in market.channels), BASELINE],
            "kind": kinds,
            "touches": np.bincount(touches["channel"], minlength=len(kinds)),
            "true_conversions": caused[0],
            "true_revenue": caused[1],
            "true_share": caused[0] / total if total else caused[0],
            "conversions_lost": pa.array(np.round(lost[0]).astype(np.int64), mask=nothing_to_lose),
            "revenue_lost": pa.array(np.round(lost[1], 2), mask=nothing_to_lose),
        }
    )


_EXPERIMENT_SCHEMA = pa.schema(
    {
        "channel": pa.string(),
        "kind": pa.string(),
        "start_date": pa.date32(),
        "end_date": pa.date32(),
        "people_held_out": pa.int64(),
        "people_control": pa.int64(),
        "conversions_held_out": pa.int64(),
        "conversions_control": pa.int64(),
        "lift": pa.float64(),
        "std_error": pa.float64(),
    }
)


def _first_time(events: Events, people: int) -> FloatArray:
    """When the first of the events happens to each person, in days; infinite if never."""
    first = np.full(people, np.inf)
    np.minimum.at(first, events["person"], events["day"] + events["place"])
    return first


def _experiment_table(
    market: Market, touches: Events, withheld_touches: Events, conversions: Events, people: Events
) -> pa.Table:
    """Compare the people from whom a channel was withheld with those who had them all.

    Conversions before the channel's first touch, real or withheld, say nothing about it (ghost ads:
    Johnson, Lewis, Nubbemeyer, 2017). A group of fewer than two people measures nothing and has no
    row.
    """
    withheld = people["withheld"]
    converted = conversions["day"] + conversions["place"]
    first_withheld = _first_time(withheld_touches, len(withheld))
    rows = []
    for number, channel in enumerate(market.channels):
        is_channel = touches["channel"] == number
        of_channel = {name: column[is_channel] for name, column in touches.items()}
        first_touch = _first_time(of_channel, len(withheld))
        reached = np.where(withheld == number, first_withheld, first_touch)
        is_after = converted > reached[conversions["person"]]
        counts = np.bincount(conversions["person"][is_after], minlength=len(withheld))
        control = counts[withheld == -1]
        held_out = counts[withheld == number]
        if channel.name not in market.tested or min(len(held_out), len(control)) < 2:
            continue
        exposed = len(withheld) - len(held_out)
        variance = control.var(ddof=1) / len(control) + held_out.var(ddof=1) / len(held_out)
        rows.append(
            {
                "channel": channel.name,
                "kind": "ghost",
                "start_date": market.first_day,
                "end_date": market.first_day + timedelta(days=market.days - 1),
                "people_held_out": len(held_out),
                "people_control": len(control),
                "conversions_held_out": int(held_out.sum()),
                "conversions_control": int(control.sum()),
                "lift": float(exposed * (control.mean() - held_out.mean())),
                "std_error": float(exposed * np.sqrt(variance)),
            }
        )
    return pa.Table.from_pylist(rows, schema=_EXPERIMENT_SCHEMA)


def _holdout_table(market: Market, withheld_touches: Events, people: Events) -> pa.Table:
    (person,) = np.nonzero(people["withheld"] >= 0)
    first = _first_time(withheld_touches, len(people["withheld"]))[person]
    is_never = np.isinf(first)
    day = np.where(is_never, 0.0, first)
    times = _times(market, {"day": np.floor(day), "place": day % 1})
    return pa.table(
        {
            "user_id": _ids("u", person),
            "channel": _channel_names(market, people["withheld"][person]),
            "first_withheld_at": pc.if_else(pa.array(is_never), None, times),
        }
    )

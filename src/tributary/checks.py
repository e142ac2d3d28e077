"""What moved between two publications: daily series and row counts in, readings out.

Like is compared with like. Days that both publications hold should say the same in both, but for
data that came late. Days that only the newer one holds are compared with the days before them:
each weekday with its own mean, and with an interval in which a new day lies unless something
changed.

Source of the interval: a quasi-Poisson model with one mean per weekday, whose variance is a
multiple of the mean (McCullagh and Nelder 1989, *Generalized Linear Models*, section 6.2), and the
negative binomial (counts) or gamma (amounts) distribution of that mean and variance. That the
multiple is itself estimated is allowed for as in Student's t: the normal score of a tail is read
off the t distribution of its degrees of freedom. Many comparisons: Bonferroni, a third of the error
each for the totals, for the channels and for the shares.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

REFERENCE_DAYS = 56
"""How many days before the first new one are compared with: eight weeks."""
DAYS_FOR_WEEKDAYS = 28
"""From so many days on, each weekday has a mean of its own."""
FEWEST_DAYS = 14
"""With fewer days than these, a new day is not judged."""
SMALLEST_SPREAD = 0.02
"""Standard deviation of an amount, as a share of its mean, that is always allowed for."""
LATE_DAYS = 7
LATE_SHARE = 0.1
"""In the last LATE_DAYS published, a rise of LATE_SHARE is taken for data that came late."""
FEWEST_CONVERSIONS = 3
"""A published count that moved by less is not worth a word."""
LEAST_AMOUNT = 1.0
"""Nor is a published amount, in units of currency."""
SHARE_POINTS = 0.01
"""A share of new rows is only notable if it is this far from that of the earlier ones."""
VOLUME_FACTOR = 2
VOLUME_ENTITIES = ("sessions", "calls")

_WEEK = 7
_EXACT = 1e-6


class Check(StrEnum):
    """What is compared.

    published days: the days that both publications hold. new day: one day that only the newer one
    holds. rows: the rows that a source delivered and that were used. volume: those that were
    added. rejected, unmapped: shares of the rows that were added.
    """

    PUBLISHED = "published days"
    NEW = "new day"
    ROWS = "rows"
    VOLUME = "volume"
    REJECTED = "rejected"
    UNMAPPED = "unmapped"


@dataclass(frozen=True, order=True)
class Subject:
    """What a daily series is of.

    Attributes
    ----------
    measure
        conversions, touchpoints (of the journeys to them), revenue or spend. All but spend count
        on the day of the conversion, so that a day is whole when it is over.
    conversion_type
        Empty for spend, which is of all types.
    channel
        Empty for the total over channels.
    """

    measure: str
    conversion_type: str = ""
    channel: str = ""

    @property
    def is_count(self) -> bool:
        """Whether it counts things, credits of conversions among them; otherwise money."""
        return self.measure in {"conversions", "touchpoints"}


@dataclass(frozen=True)
class SourceRows:
    """Rows of all time that a source delivered of an entity: used, and rejected."""

    used: int
    rejected: int


@dataclass(frozen=True)
class Snapshot:
    """What a publication says, as far as it is compared.

    Attributes
    ----------
    name
        Of the publication.
    first_day
        Of the series.
    day_count
        How many days are over and complete; each series is as long.
    series
        Per subject one value per day, of shape (day_count,).
    rows
        By source and entity.
    unmapped, touchpoints
        Touchpoints of all time without a channel, and all of them.
    """

    name: str
    first_day: date
    day_count: int
    series: Mapping[Subject, NDArray[np.float64]]
    rows: Mapping[tuple[str, str], SourceRows]
    unmapped: int = 0
    touchpoints: int = 0

    def end(self) -> date:
        """Give the day after the last one."""
        return self.first_day + timedelta(days=self.day_count)

    def values(self, subject: Subject, start: date, end: date) -> NDArray[np.float64]:
        """Give a series from start to before end; 0 where it is not known or has no such day."""
        values = np.zeros(max((end - start).days, 0))
        known = self.series.get(subject)
        if known is not None:
            first, last = max(start, self.first_day), min(end, self.end())
            if first < last:
                values[(first - start).days : (last - start).days] = known[
                    (first - self.first_day).days : (last - self.first_day).days
                ]
        return values


@dataclass(frozen=True)
class Reading:
    """One comparison.

    Attributes
    ----------
    check, subject
        What was compared; the measure is the entity where rows are, and the conversion type its
        source.
    value, expected
        What the newer publication says, and what the older one or earlier days let expect.
    low, high
        Between these, both included, nothing is notable; for published days, unless days moved
        against each other.
    compared
        How many days were compared with; for published days, how many there are.
    is_notable
        Whether it moved beyond its interval.
    day
        The new day; for published days, the one that moved most, if one did.
    of_same_weekday
        Whether the days compared with are those of the same weekday.
    days_moved, moved
        How many published days differ, and the sum of all differences without signs.
    late
        The part of `moved` that is taken for data that came late.
    """

    check: Check
    subject: Subject
    value: float
    expected: float
    low: float
    high: float
    compared: int
    is_notable: bool
    day: date | None = None
    of_same_weekday: bool = False
    days_moved: int = 0
    moved: float = 0.0
    late: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """Intervals for new days by weekday, Monday first; each array of shape (7,)."""

    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    compared: NDArray[np.int64]
    of_same_weekday: bool


def compare(
    previous: Snapshot, current: Snapshot, level: float = 0.99, tolerance: float = 0.01
) -> list[Reading]:
    """Compare two publications.

    Parameters
    ----------
    previous, current
        The older and the newer one.
    level
        Probability, in (0, 1), that no new day or share is notable if nothing changed.
    tolerance
        Share by which the published days of a series may move, at least 0.

    Returns
    -------
    list[Reading]
        All comparisons that could be made, notable or not: published days, rows, volume, shares,
        then new days, in the order of their names.

    Raises
    ------
    ValueError
        If the level or the tolerance is out of range.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level is {level:g}; it lies between 0 and 1, as 0.99.")
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"The tolerance is {tolerance:g}; it is 0 or more, as 0.01.")
    # A third each for shares, for totals of new days and for channels of new days.
    error = (1 - level) / 3
    return [
        *published_days(previous, current, tolerance),
        *row_counts(previous, current, tolerance),
        *volumes(previous, current),
        *shares(previous, current, error),
        *new_days(previous, current, error),
    ]


def new_period(previous: Snapshot, current: Snapshot) -> tuple[date, date]:
    """Give the first day that only the newer publication holds, and the day after the last."""
    start = max(previous.end(), current.first_day) if previous.day_count else current.first_day
    return min(start, current.end()), current.end()


def common_period(previous: Snapshot, current: Snapshot) -> tuple[date, date]:
    """Give the first day that both publications hold, and the day after the last."""
    start = max(previous.first_day, current.first_day)
    return start, max(start, min(previous.end(), current.end()))


def published_days(previous: Snapshot, current: Snapshot, tolerance: float) -> list[Reading]:
    """Compare what both publications say of the same days.

    Differences are added up without their signs, so that days that moved against each other do
    not hide. In the last week published, a rise of up to a tenth is taken for late data.
    """
    start, end = common_period(previous, current)
    if start == end:
        return []
    readings = []
    for subject in sorted({*previous.series, *current.series}):
        before, after = (each.values(subject, start, end) for each in (previous, current))
        differences = np.where(
            np.isclose(before, after, rtol=_EXACT, atol=_EXACT), 0.0, after - before
        )
        moved = float(np.abs(differences).sum())
        rise = float(differences[-LATE_DAYS:].clip(0).sum())
        late = min(rise, LATE_SHARE * float(np.abs(before[-LATE_DAYS:]).sum()))
        total = float(before.sum())
        slack = tolerance * float(np.abs(before).sum())
        is_enough = moved - late >= (FEWEST_CONVERSIONS if subject.is_count else LEAST_AMOUNT)
        readings.append(
            Reading(
                Check.PUBLISHED,
                subject,
                value=float(after.sum()),
                expected=total,
                low=total - slack,
                high=total + slack + late,
                compared=len(before),
                is_notable=is_enough and moved - late > slack,
                day=start + timedelta(days=int(np.abs(differences).argmax())) if moved else None,
                days_moved=int(np.count_nonzero(differences)),
                moved=moved,
                late=late,
            )
        )
    return readings


def row_counts(previous: Snapshot, current: Snapshot, tolerance: float) -> list[Reading]:
    """Compare how many rows of each source could be used; they only ever grow."""
    return [
        Reading(
            Check.ROWS,
            Subject(entity, source),
            value=current.rows.get((source, entity), SourceRows(0, 0)).used,
            expected=before.used,
            low=(1 - tolerance) * before.used,
            high=np.inf,
            compared=0,
            is_notable=current.rows.get((source, entity), SourceRows(0, 0)).used
            < (1 - tolerance) * before.used,
        )
        for (source, entity), before in sorted(previous.rows.items())
    ]


def volumes(previous: Snapshot, current: Snapshot) -> list[Reading]:
    """Compare the sessions and calls that were added per new day with those per day before.

    Their days are not published, so there is no interval: half and double are the bounds.
    """
    start, end = new_period(previous, current)
    days = (end - start).days
    if not days or previous.day_count < FEWEST_DAYS:
        return []
    readings = []
    for (source, entity), before in sorted(previous.rows.items()):
        after = current.rows.get((source, entity), SourceRows(0, 0))
        if entity not in VOLUME_ENTITIES or not before.used <= after.used or not before.used:
            continue
        value, expected = (after.used - before.used) / days, before.used / previous.day_count
        low, high = expected / VOLUME_FACTOR, expected * VOLUME_FACTOR
        readings.append(
            Reading(
                Check.VOLUME,
                Subject(entity, source),
                value=value,
                expected=expected,
                low=low,
                high=high,
                compared=previous.day_count,
                is_notable=not low <= value <= high,
            )
        )
    return readings


def shares(previous: Snapshot, current: Snapshot, error: float) -> list[Reading]:
    """Compare the shares of rejected and of unmapped rows among those that were added.

    Where rows were taken away, all of the newer publication are compared. A share is notable if it
    is a percentage point or more from that before, and a binomial test (two-sided, Bonferroni)
    says that this is no chance.
    """
    counts = [
        (
            Check.REJECTED,
            Subject(entity, source),
            (before.rejected, before.used + before.rejected),
            (after.rejected, after.used + after.rejected),
        )
        for (source, entity), after in sorted(current.rows.items())
        if (before := previous.rows.get((source, entity))) is not None
    ]
    counts.append(
        (
            Check.UNMAPPED,
            Subject("touchpoints"),
            (previous.unmapped, previous.touchpoints),
            (current.unmapped, current.touchpoints),
        )
    )
    readings = []
    for check, subject, (part, whole), (part_now, whole_now) in counts:
        is_growth = whole_now > whole and 0 <= part_now - part <= whole_now - whole
        new_part, new_whole = (
            (part_now - part, whole_now - whole) if is_growth else (part_now, whole_now)
        )
        if not whole or not new_whole or (part, whole) == (part_now, whole_now):
            continue
        share, share_now = (part + 0.5) / (whole + 1), new_part / new_whole
        chance = stats.binomtest(new_part, new_whole, share).pvalue
        is_far = abs(share_now - part / whole) >= SHARE_POINTS
        readings.append(
            Reading(
                check,
                subject,
                value=share_now,
                expected=part / whole,
                low=max(part / whole - SHARE_POINTS, 0),
                high=min(part / whole + SHARE_POINTS, 1),
                compared=new_whole,
                is_notable=bool(is_far and chance < error / len(counts)),
            )
        )
    return readings


def new_days(previous: Snapshot, current: Snapshot, error: float) -> list[Reading]:
    """Compare each day that only the newer publication holds with the days before the first one.

    The error is that of the totals together, and that of the channels together.
    """
    start, end = new_period(previous, current)
    subjects = sorted(current.series)
    readings = []
    for is_of_channels in (False, True):
        family = [subject for subject in subjects if bool(subject.channel) == is_of_channels]
        if family and start < end:
            tail = error / 2 / (len(family) * (end - start).days)
            readings += _days_of(current, family, start, end, tail)
    return sorted(readings, key=lambda reading: (reading.day or start, reading.subject))


def _days_of(
    current: Snapshot, subjects: Iterable[Subject], start: date, end: date, tail: float
) -> list[Reading]:
    """Compare the new days of some series."""
    first = max(current.first_day, start - timedelta(days=REFERENCE_DAYS))
    readings = []
    for subject in subjects:
        bounds = weekday_bounds(
            current.values(subject, first, start), first.weekday(), subject.is_count, tail
        )
        if bounds is None:
            continue
        for offset, value in enumerate(current.values(subject, start, end)):
            day = start + timedelta(days=offset)
            weekday = day.weekday()
            low, high = float(bounds.low[weekday]), float(bounds.high[weekday])
            # Credits are fractions of conversions; the part of one counts for nothing.
            least, most = (np.floor(value), np.ceil(value)) if subject.is_count else (value, value)
            readings.append(
                Reading(
                    Check.NEW,
                    subject,
                    value=float(value),
                    expected=float(bounds.expected[weekday]),
                    low=low,
                    high=high,
                    compared=int(bounds.compared[weekday]),
                    is_notable=bool(least > high or most < low),
                    day=day,
                    of_same_weekday=bounds.of_same_weekday,
                )
            )
    return readings


def weekday_bounds(
    reference: NDArray[np.float64], first_weekday: int, is_count: bool, tail: float
) -> Bounds | None:
    """Say between which values a new day lies unless something changed.

    Parameters
    ----------
    reference
        Values of successive days before it, of shape (n_days,).
    first_weekday
        Weekday of the first of them; 0 is Monday.
    is_count
        Whether the values are counts (sums of credits among them) or amounts.
    tail
        Probability of a value below the interval, and of one above, in (0, 0.5).

    Returns
    -------
    Bounds | None
        None with fewer than `FEWEST_DAYS` days.
    """
    day_count = len(reference)
    if day_count < FEWEST_DAYS:
        return None
    weekdays = (first_weekday + np.arange(day_count)) % _WEEK
    by_weekday = day_count >= DAYS_FOR_WEEKDAYS
    groups = weekdays if by_weekday else np.zeros(day_count, dtype=np.int64)
    compared = np.bincount(groups, minlength=_WEEK)
    if not by_weekday:
        compared[:] = day_count
    freedom = day_count - (_WEEK if by_weekday else 1)
    sums = np.bincount(groups, weights=reference, minlength=_WEEK)
    if not by_weekday:
        sums[:] = sums[0]
    # Half a conversion more: what was never seen is rare, not impossible (Jeffreys' prior).
    expected = (sums + 0.5) / compared if is_count else sums / compared
    # What a normal variable of known spread has as its tail, if the spread is estimated.
    tail = float(stats.norm.sf(stats.t.isf(tail, freedom)))
    bounds = _count_bounds if is_count else _amount_bounds
    low, high = bounds(reference, expected[groups], expected, compared, freedom, tail)
    return Bounds(expected, low, high, compared, by_weekday)


def _dispersion(values: NDArray[np.float64], means: NDArray[np.float64], freedom: int) -> float:
    """Estimate the variance as a multiple of the mean (Pearson)."""
    known = means > 0
    return float((np.square(values - means)[known] / means[known]).sum() / freedom)


def _count_bounds(
    values: NDArray[np.float64],
    means: NDArray[np.float64],
    expected: NDArray[np.float64],
    compared: NDArray[np.int64],
    freedom: int,
    tail: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of a negative binomial; never narrower than those of a Poisson variable."""
    dispersion = max(_dispersion(values, means, freedom), 1)
    variance = dispersion * expected * (1 + 1 / compared)
    distribution = stats.nbinom(expected**2 / (variance - expected), expected / variance)
    return distribution.ppf(tail), distribution.isf(tail)


def _amount_bounds(
    values: NDArray[np.float64],
    means: NDArray[np.float64],
    expected: NDArray[np.float64],
    compared: NDArray[np.int64],
    freedom: int,
    tail: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of a gamma variable; of a normal one where amounts are negative."""
    least = np.square(SMALLEST_SPREAD * expected)
    if values.min() < 0:
        variance = np.square(values - means).sum() / freedom * (1 + 1 / compared)
        spread = np.sqrt(np.maximum(variance, least))
        return expected - spread * stats.norm.isf(tail), expected + spread * stats.norm.isf(tail)
    # On a weekday that never had any, an amount is compared with all days, and 0 is no surprise.
    never = expected == 0
    level = np.where(never, values.mean(), expected)
    if not values.any():
        return expected, expected
    count = np.where(never, len(values), compared)
    dispersion = np.where(
        never,
        _dispersion(values, np.full(len(values), values.mean()), len(values) - 1),
        _dispersion(values, means, freedom),
    )
    variance = np.maximum(dispersion * level * (1 + 1 / count), np.square(SMALLEST_SPREAD * level))
    distribution = stats.gamma(level**2 / variance, scale=variance / level)
    return np.where(never, 0.0, distribution.ppf(tail)), distribution.isf(tail)

"""Events as the hazard model sees them, without a warehouse."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tributary.hazard import (
    BASELINE,
    Feature,
    FloatArray,
    IntArray,
    PersonTime,
)

EFFECT_DECAY_DAYS = (2.0, 4.0, 8.0)
"""Mean lives of what a touch causes, as the warehouse has them."""

INTEREST_DECAY_DAYS = 60.0
"""Mean life of what a touch tells about the person's interest, as the warehouse has it."""


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
    """Count exposure and features from events: what SQL does, for data that fit here.

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
    # After the person's first conversion, whether it is before the touch or after it.
    first_bought = np.append(bought, end)[
        np.where(np.isin(person, buyer), np.searchsorted(buyer, person, "left"), len(bought))
    ]
    since = np.clip(first_bought, day, stop)
    repeat_exposure = np.stack(
        [
            np.bincount(
                cell,
                decay * (np.exp(-(since - day) / decay) - np.exp(-(stop - day) / decay)),
                minlength=n_cells,
            )
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
        repeat_exposure=np.concatenate([repeat_exposure.ravel(), (at_risk * [0, 1]).ravel()]),
    )

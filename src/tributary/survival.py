"""Classic additive hazard: every touch may be what brings about the conversion, sooner or later.

A touch of channel k adds the hazard beta_k omega_k exp(-omega_k t), t days after it: beta_k is the
expected number of conversions of a touch, 1 / omega_k its mean life. Who converted tells which
touches were near; who did not (yet) tells how often touches bring about nothing. There is no
baseline: every conversion is credited to touches. `tributary.hazard` has one.

Source of the method: Zhang, Wei, Ren (2014), "Multi-touch attribution in online advertising with
survival theory", here with exponential kernels; see docs/methods/survival.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MEAN_LIFE_AT_START = 7.0
MEAN_LIFE_BOUNDS = (1e-3, 1e4)
"""In days: a channel all of whose conversions come at once would have a mean life of 0, and one
whose effect does not fade an endless one."""

SHORTEST_DELAY = 1 / 86_400
"""In days: what takes less than a second takes a second."""


@dataclass(frozen=True)
class SurvivalFit:
    """A fitted additive hazard.

    Attributes
    ----------
    channels
        The channels, sorted.
    conversions_per_touch
        Shape (channels,): beta, at least 0.
    decay_rates
        Shape (channels,): omega, per day, within 1 / `MEAN_LIFE_BOUNDS`.
    is_at_bound
        Shape (channels,): whether omega lies on one of these bounds, and was not found.
    credits
        Shape (converted touches,): probability that the touch brought about its conversion; adds up
        to 1 per conversion.
    conversions
        Shape (channels,): sum of the credits.
    std_error
        Shape (channels,): standard error of `conversions`.
    history
        Log likelihood after each step; it never falls.
    """

    channels: tuple[str, ...]
    conversions_per_touch: FloatArray
    decay_rates: FloatArray
    is_at_bound: BoolArray
    credits: FloatArray
    conversions: FloatArray
    std_error: FloatArray
    history: FloatArray


def fit_survival(
    channel: Sequence[str],
    delay_days: FloatArray,
    conversion: IntArray,
    observed_channel: Sequence[str],
    observed_days: FloatArray,
    touches: FloatArray,
    person: IntArray | None = None,
    tolerance: float = 1e-4,
    max_steps: int = 1_000,
) -> SurvivalFit:
    """Fit by expectation-maximization, with people who have not converted as censored.

    Expectation: a touch has its conversion with probability p in proportion to its hazard at that
    moment. Maximization: beta = sum p / sum (1 - exp(-omega D)) and omega = sum p / (sum p d +
    beta sum D exp(-omega D)), d the delay of the conversion and D how long each touch was observed.
    The second is the maximum of a tangent from below, so the likelihood never falls either.

    Parameters
    ----------
    channel, delay_days, conversion
        One row per conversion and touch before it: the channel, days from touch to conversion (at
        least 0), and the number of the conversion.
    observed_channel, observed_days, touches
        Of all touches, also those of people who did not convert: the channel, the days from touch
        to the conversion that uses it up or to the end of the data (at least 0), and how many
        touches a row stands for. Rows may be a histogram of the days: the fit needs no more.
    person
        Who converted, one number per row of the converted touches: conversions of one person are
        not independent, for the standard errors. By default everybody converted once.
    tolerance
        Stop when a step raises the log likelihood by less.
    max_steps
        Stop after so many steps.

    Returns
    -------
    SurvivalFit
        O(steps x rows) time.

    Raises
    ------
    ValueError
        If days are negative, touches are not positive, columns differ in length, or a converted
        touch is of a channel that was not observed.
    """
    delay = np.asarray(delay_days, dtype=np.float64)
    days = np.asarray(observed_days, dtype=np.float64)
    count = np.asarray(touches, dtype=np.float64)
    buyer = np.asarray(conversion if person is None else person)
    if not len(channel) == len(delay) == len(conversion) == len(buyer):
        raise ValueError("The columns of the converted touches differ in length.")
    if not len(observed_channel) == len(days) == len(count):
        raise ValueError("The columns of the observed touches differ in length.")
    if not (np.all(delay >= 0) and np.all(days >= 0) and np.all(count > 0)):
        raise ValueError("Days must be at least 0 and numbers of touches positive.")
    delay, days = np.maximum(delay, SHORTEST_DELAY), np.maximum(days, SHORTEST_DELAY)
    names, seen = np.unique(np.asarray(observed_channel, dtype=np.str_), return_inverse=True)
    unknown = sorted(set(channel) - set(names.tolist()))
    if unknown:
        raise ValueError(f"Conversions came after touches that were not observed: {unknown[0]}.")
    owner = np.searchsorted(names, np.asarray(channel, dtype=np.str_))
    _, group = np.unique(conversion, return_inverse=True)
    n, conversions = len(names), int(group.max(initial=-1)) + 1

    def total(places: IntArray, values: FloatArray) -> FloatArray:
        return np.bincount(places, values, minlength=n).astype(np.float64)

    omega = np.full(n, 1 / MEAN_LIFE_AT_START)
    beta = np.full(n, conversions / max(count.sum(), 1.0))
    history: list[float] = []
    credit = np.zeros(len(delay))
    for _ in range(max_steps):
        reached = total(seen, count * -np.expm1(-omega[seen] * days))
        log_hazard = np.log(np.maximum(beta * omega, 1e-300))[owner] - omega[owner] * delay
        highest = np.full(conversions, -np.inf)
        np.maximum.at(highest, group, log_hazard)
        hazard = np.exp(log_hazard - highest[group])
        whole = np.bincount(group, hazard, minlength=conversions)
        credit = hazard / whole[group]
        history.append(float((np.log(whole) + highest).sum() - beta @ reached))
        if len(history) > 1 and history[-1] - history[-2] < tolerance:
            break
        caused = total(owner, credit)
        beta = np.divide(caused, reached, out=np.zeros(n), where=reached > 0)
        ahead = total(seen, count * days * np.exp(-omega[seen] * days))
        waited = total(owner, credit * delay) + beta * ahead
        omega = np.where(
            caused > 0,
            np.clip(
                np.divide(caused, waited, out=np.full(n, np.inf), where=waited > 0),
                1 / MEAN_LIFE_BOUNDS[1],
                1 / MEAN_LIFE_BOUNDS[0],
            ),
            omega,
        )
    return SurvivalFit(
        channels=tuple(names.tolist()),
        conversions_per_touch=beta,
        decay_rates=omega,
        is_at_bound=np.isin(omega, [1 / bound for bound in MEAN_LIFE_BOUNDS]),
        credits=credit,
        conversions=total(owner, credit),
        std_error=_std_errors(credit, omega[owner] * delay, owner, group, buyer, n),
        history=np.array(history),
    )


def _std_errors(
    credit: FloatArray,
    age: FloatArray,
    owner: IntArray,
    group: IntArray,
    person: IntArray,
    channels: int,
) -> FloatArray:
    """Take every person for a draw of a Poisson process: standard errors of the channels' credits.

    A conversion's influence is its own credit and what it does to beta and omega (delta method):
    its score, log beta and log omega of each channel, times the inverse of the information, which
    of a Poisson process is the sum of the scores' squares. `age` is omega times the delay.
    """
    _, first, who = np.unique(person, return_index=True, return_inverse=True)
    shape = (int(group.max(initial=-1)) + 1, channels)
    credits = sparse.csr_array((credit, (group, owner)), shape=shape)
    of_omega = sparse.csr_array((credit * (1 - age), (group, owner)), shape=shape)
    score = sparse.csr_array(sparse.hstack([credits, of_omega]))
    information = (score.T @ score).toarray()
    slopes = -(score.T @ credits).toarray()
    index = np.arange(channels)
    slopes[index, index] += credits.sum(axis=0)
    slopes[channels + index, index] += of_omega.sum(axis=0)
    scale = np.sqrt(information.diagonal())
    scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    inverse = np.linalg.pinv(information * scale * scale[:, None], rcond=1e-9, hermitian=True)
    response = scale[:, None] * (inverse @ (scale[:, None] * slopes))
    # Everything a person did, in one sum.
    buys = sparse.csr_array(
        (np.ones(len(group)), (who, group)), shape=(len(first), shape[0])
    ).astype(bool)
    of_person = (buys @ credits).toarray() + (buys @ score) @ response
    return np.asarray(np.sqrt((of_person**2).sum(axis=0)))


COEFFICIENTS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("beta", pa.float64(), nullable=False),
        pa.field("omega", pa.float64(), nullable=False),
        pa.field("is_at_bound", pa.bool_(), nullable=False),
        pa.field("std_error", pa.float64(), nullable=False),
        pa.field("log_likelihood", pa.float64(), nullable=False),
        pa.field("steps", pa.int64(), nullable=False),
    ]
)
"""Of `fit_survival_tables`: std_error is that of the channel's conversions; the last two are of the
conversion type and repeat on its channels."""


def fit_survival_tables(delays: pa.Table, exposure: pa.Table) -> pa.Table:
    """Fit the additive hazard of each conversion type.

    Where the conversions are a sample, the touches observed are scaled to it: the fit needs as many
    touches per conversion as there are in all.

    Parameters
    ----------
    delays
        One row per conversion and touch before it: conversion_type, conversion_number, source and
        person_id (who converted), channel, delay_days (at least 0), and weight, how many
        conversions this one stands for (above 0, the same on each of its rows).
    exposure
        Histogram of all touches: conversion_type, channel, observed_days (at least 0), touches
        (above 0).

    Returns
    -------
    pyarrow.Table
        Schema `COEFFICIENTS`, sorted: beta in conversions per touch, omega per day, and whether it
        lies on its bound. The order of rows does not matter.

    Raises
    ------
    ValueError
        As `fit_survival`, or if weights are not positive.
    """
    rows: list[dict[str, object]] = []
    types = {*delays["conversion_type"].to_pylist(), *exposure["conversion_type"].to_pylist()}
    for conversion_type in sorted(types):
        # The last digits of sums depend on their order, and with them the step the fit stops at.
        converted = _sorted_part(
            delays, conversion_type, ["conversion_number", "delay_days", "channel"]
        )
        observed = _sorted_part(exposure, conversion_type, ["observed_days", "touches", "channel"])
        conversion = _numbers(converted, "conversion_number").astype(np.int64)
        weight = _numbers(converted, "weight")
        if not np.all(weight > 0):
            raise ValueError("Every weight of a conversion must be positive.")
        _, first = np.unique(conversion, return_index=True)
        sampled = len(first) / weight[first].sum() if len(first) else 1.0
        fit = fit_survival(
            converted["channel"].to_pylist(),
            _numbers(converted, "delay_days"),
            conversion,
            observed["channel"].to_pylist(),
            _numbers(observed, "observed_days"),
            _numbers(observed, "touches") * sampled,
            _people(converted),
        )
        rows += [
            {
                "conversion_type": conversion_type,
                "channel": channel,
                "beta": fit.conversions_per_touch[index],
                "omega": fit.decay_rates[index],
                "is_at_bound": bool(fit.is_at_bound[index]),
                "std_error": fit.std_error[index] / sampled,
                "log_likelihood": fit.history[-1],
                "steps": len(fit.history),
            }
            for index, channel in enumerate(fit.channels)
        ]
    return pa.Table.from_pylist(rows, schema=COEFFICIENTS)


def _sorted_part(table: pa.Table, conversion_type: str, by: list[str]) -> pa.Table:
    part = table.filter(pc.equal(table["conversion_type"], conversion_type))
    return part.sort_by([(name, "ascending") for name in by])


def _people(table: pa.Table) -> IntArray:
    """Give every row the number of its person."""
    code = [
        table[name].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        for name in ("source", "person_id")
    ]
    return np.asarray(code[0] * (int(code[1].max(initial=0)) + 1) + code[1])


def _numbers(table: pa.Table, column: str) -> FloatArray:
    return np.asarray(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)

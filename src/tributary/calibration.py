"""Calibration of a model by lift tests: what an experiment measured corrects what the model says.

An experiment on channel k measured a lift e with standard error s, where the model says that the
channel brought about m conversions. The channel's ratio r_k of truth to model is unknown:

    e ~ Normal(r_k m, s^2),  r_k ~ Normal(1 + d_k g, (d_k tau)^2),  g ~ Normal(0, 0.1^2),
    tau ~ half-normal(0.15),

with one g per group of channels, so that what was learned about one channel of a group says
something about the others. The doubt d_k is 1 for a channel that looks confounded and 1/3 for one
that does not: where touches find people by chance the model is close, and a vague experiment
should move it little. All but tau is Gaussian and in closed form; tau is summed over a grid.

Source of the method: hierarchical Gaussian shrinkage (Gelman et al., Bayesian Data Analysis, 2013,
chapter 5); calibration of attribution by experiments after Gordon, Zettelmeyer, Bhargava, Chapsky
(2019). See docs/methods/calibration.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tributary.hazard import BASELINE

FloatArray = npt.NDArray[np.float64]

KINDS = ("holdout", "geo", "ghost")
"""How a lift was measured: people or regions from whom a channel was withheld, or people who were
logged where an ad was withheld. All mean the same here: a lift with a standard error."""

GROUP_SPREAD = 0.1
"""Prior standard deviation of what the channels of a group have in common, at full doubt."""

CHANNEL_SPREAD = 0.15
"""Scale of the half-normal prior of tau, the spread of channels around their group."""

DOUBT_WITHOUT_REASON = 1 / 3
"""Doubt about a channel that does not look confounded; of one that does it is 1."""

PRECISE = 0.25
"""A test is worth while where its standard error is at most this share of the channel's credit."""

FOLLOWS = 1.05
"""Touches that come this much oftener after touches of other channels than by chance follow
interest: such channels look confounded."""


@dataclass(frozen=True)
class Experiment:
    """A lift test.

    Attributes
    ----------
    channel
        The channel tested.
    kind
        One of `KINDS`.
    lift
        Conversions that the channel brought about, as measured; may be negative.
    std_error
        Its standard error; positive.
    predicted
        Conversions that the model says would be lost without the channel, in the same period and
        population; at least 0.
    """

    channel: str
    kind: str
    lift: float
    std_error: float
    predicted: float

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If the kind is unknown or a number is out of its range.
        """
        if self.kind not in KINDS:
            raise ValueError(
                f"The experiment on {self.channel} is of the kind '{self.kind}'. "
                f"Allowed: {', '.join(KINDS)}."
            )
        if not np.isfinite(self.lift):
            raise ValueError(f"The lift of the experiment on {self.channel} is {self.lift}.")
        if not 0 < self.std_error < np.inf:
            raise ValueError(
                f"The standard error of the experiment on {self.channel} is {self.std_error}; "
                "it must be positive."
            )
        if not 0 <= self.predicted < np.inf:
            raise ValueError(
                f"The prediction for {self.channel} is {self.predicted}; it must be at least 0."
            )


@dataclass(frozen=True)
class Ratios:
    """True over modelled conversions of each channel.

    Attributes
    ----------
    channels
        The channels, in the order given.
    mean, std_error
        Shape (channels,): posterior mean and standard deviation of the ratio.
    """

    channels: tuple[str, ...]
    mean: FloatArray
    std_error: FloatArray


def posterior_ratios(
    groups: Mapping[str, str], doubtful: Collection[str], experiments: Sequence[Experiment]
) -> Ratios:
    """Posterior of every channel's ratio of truth to model.

    Parameters
    ----------
    groups
        Channel to group, of all channels.
    doubtful
        Channels that look confounded.
    experiments
        Any number per channel. One of which the model predicts nothing says nothing about a ratio.

    Returns
    -------
    Ratios
        Channels without an experiment learn from their group alone. O(channels^3).

    Raises
    ------
    ValueError
        If an experiment is on a channel that has no group.
    """
    channels = tuple(groups)
    place = {channel: index for index, channel in enumerate(channels)}
    for experiment in experiments:
        if experiment.channel not in place:
            raise ValueError(
                f"There is an experiment on {experiment.channel}, which is no channel. "
                f"There are: {', '.join(channels)}."
            )
    n = len(channels)
    names = np.array([groups[channel] for channel in channels])
    doubt = np.array([1.0 if channel in doubtful else DOUBT_WITHOUT_REASON for channel in channels])
    alike = GROUP_SPREAD**2 * np.outer(doubt, doubt) * (names[:, None] == names[None, :])
    useful = [experiment for experiment in experiments if experiment.predicted > 0]
    sees = np.zeros((len(useful), n))
    for row, experiment in enumerate(useful):
        sees[row, place[experiment.channel]] = experiment.predicted
    noise = np.diag(np.array([each.std_error**2 for each in useful], dtype=np.float64))
    surprise = np.array([experiment.lift - experiment.predicted for experiment in useful])

    # Half-normal prior of tau on a grid up to 4 scales.
    grid = CHANNEL_SPREAD * np.linspace(0.02, 4.0, 60)
    log_weight = -((grid / CHANNEL_SPREAD) ** 2) / 2
    means, variances = np.ones((len(grid), n)), np.zeros((len(grid), n))
    for index, tau in enumerate(grid):
        prior = alike + np.diag((tau * doubt) ** 2)
        spread = sees @ prior @ sees.T + noise
        gain = np.linalg.solve(spread, sees @ prior).T if useful else np.zeros((n, 0))
        means[index] = 1 + gain @ surprise
        variances[index] = np.diag(prior - gain @ sees @ prior)
        if useful:
            _, log_determinant = np.linalg.slogdet(spread)
            fit = surprise @ np.linalg.solve(spread, surprise)
            log_weight[index] -= (log_determinant + fit) / 2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = weight @ means
    variance = weight @ (variances + (means - mean) ** 2)
    return Ratios(channels, mean, np.sqrt(np.maximum(variance, 0)))


@dataclass(frozen=True)
class CalibratedChannel:
    """What a channel brought about before and after calibration.

    Attributes
    ----------
    channel
        The channel.
    uncalibrated, uncalibrated_std_error
        Conversions as the model says, and their standard error.
    conversions, std_error
        Conversions after calibration, and their standard error.
    ratio
        What the credits of the channel are multiplied by; the rest goes to the baseline.
    is_calibrated
        Whether an experiment on the channel counted.
    """

    channel: str
    uncalibrated: float
    uncalibrated_std_error: float
    conversions: float
    std_error: float
    ratio: float
    is_calibrated: bool


def calibrate(
    conversions: Mapping[str, float],
    std_errors: Mapping[str, float],
    groups: Mapping[str, str],
    doubtful: Collection[str],
    experiments: Sequence[Experiment],
    total: float,
) -> list[CalibratedChannel]:
    """Multiply the credits of tested channels by their posterior ratio.

    Every test counts, by its precision: a vague one moves its channel little. Channels without a
    test stay as they are.

    Parameters
    ----------
    conversions, std_errors
        Channel to the model's conversions and their standard errors, without the baseline.
    groups
        Channel to group, of the same channels.
    doubtful
        Channels that look confounded.
    experiments
        Lift tests.
    total
        All conversions, which the channels cannot exceed together: calibrated channels are scaled
        down where they would.

    Returns
    -------
    list of CalibratedChannel
        In the order of `conversions`.

    Raises
    ------
    ValueError
        If the channels of the arguments differ.
    """
    if not set(conversions) == set(std_errors) == set(groups):
        raise ValueError("Conversions, standard errors and groups must be of the same channels.")
    posterior = posterior_ratios(groups, doubtful, experiments)
    place = {channel: index for index, channel in enumerate(posterior.channels)}
    tested = {experiment.channel for experiment in experiments if experiment.predicted > 0}
    ratio = {
        channel: max(float(posterior.mean[place[channel]]), 0.0) if channel in tested else 1.0
        for channel in conversions
    }
    kept = sum(conversions[channel] for channel in conversions if channel not in tested)
    wanted = sum(ratio[channel] * conversions[channel] for channel in tested)
    if wanted > max(total - kept, 0.0):
        scale = max(total - kept, 0.0) / wanted
        ratio |= {channel: ratio[channel] * scale for channel in tested}
    return [
        CalibratedChannel(
            channel=channel,
            uncalibrated=credited,
            uncalibrated_std_error=std_errors[channel],
            conversions=ratio[channel] * credited,
            # Two sources of error: what the model counted, and how far it is to be trusted.
            std_error=(
                float(
                    np.hypot(
                        posterior.std_error[place[channel]] * credited,
                        ratio[channel] * std_errors[channel],
                    )
                )
                if channel in tested
                else std_errors[channel]
            ),
            ratio=ratio[channel],
            is_calibrated=channel in tested,
        )
        for channel, credited in conversions.items()
    ]


@dataclass(frozen=True)
class TestAdvice:
    """A channel whose credit may be somebody else's, and how to find out.

    Attributes
    ----------
    channel
        The channel.
    reason
        Why it looks confounded, in plain words.
    std_error_needed
        Standard error, in conversions, that a lift test needs to be precise.
    priority
        Conversions that are in doubt: what the credit would be off by if touches came before
        conversions only because both follow interest. Test the largest first.
    """

    channel: str
    reason: str
    std_error_needed: float
    priority: float


def looks_confounded(follow_ratio: float, follow_std_error: float) -> bool:
    """Whether touches follow those of other channels more often than by chance, and markedly."""
    return follow_ratio >= FOLLOWS and follow_ratio - 1 > 3 * follow_std_error


def what_to_test_next(
    conversions: Mapping[str, float],
    follow_ratio: Mapping[str, float],
    follow_std_error: Mapping[str, float],
    tested: Sequence[str] = (),
) -> list[TestAdvice]:
    """Flag channels that look confounded and have no experiment behind them.

    A channel that reaches people by chance has touches after touches of other channels exactly as
    often as everybody is in that state. One that finds interested people has them more often; then
    its credit is partly interest's.

    Parameters
    ----------
    conversions
        Channel to conversions credited.
    follow_ratio, follow_std_error
        Channel to how many recent touches of other channels its touches find, over what a random
        moment finds, and the standard error of that.
    tested
        Channels with an experiment.

    Returns
    -------
    list of TestAdvice
        The most conversions in doubt first.
    """
    advice = []
    for channel, credited in conversions.items():
        ratio = follow_ratio.get(channel, 1.0)
        is_doubtful = looks_confounded(ratio, follow_std_error.get(channel, 0.0))
        if channel in tested or not (is_doubtful and credited > 0):
            continue
        advice.append(
            TestAdvice(
                channel=channel,
                reason=(
                    f"Its touches come {ratio:.2f} times as often after touches of other channels "
                    "as by chance: it finds people who are interested anyway. "
                    "Withhold it from a random part of the people to see what is lost."
                ),
                std_error_needed=PRECISE * credited,
                priority=credited * (1 - 1 / ratio),
            )
        )
    return sorted(advice, key=lambda each: (-each.priority, each.channel))


CALIBRATED_TOTALS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("conversions", pa.float64(), nullable=False),
        pa.field("std_error", pa.float64(), nullable=False),
        pa.field("ratio", pa.float64(), nullable=False),
        pa.field("is_calibrated", pa.bool_(), nullable=False),
        pa.field("test_reason", pa.string()),
        pa.field("test_std_error_needed", pa.float64()),
        pa.field("test_priority", pa.float64()),
    ]
)


def calibrate_totals(
    totals: pa.Table, experiments: pa.Table, follow_ratios: pa.Table, channels: pa.Table
) -> pa.Table:
    """Calibrate each conversion type, and say what to test next.

    Parameters
    ----------
    totals
        Columns conversion_type, channel, conversions and conversions_std_error (may be null: 0);
        the row of the channel `(baseline)` is part of all conversions.
    experiments
        Columns conversion_type, channel, kind, lift, std_error, predicted_lift (null where the test
        is not used).
    follow_ratios
        Columns channel, follow_ratio, std_error.
    channels
        Columns channel and channel_group. A channel without a row is a group of its own.

    Returns
    -------
    pyarrow.Table
        Schema `CALIBRATED_TOTALS`, sorted, without the baseline. Further columns of the arguments
        are ignored.
    """
    group_of = dict(
        zip(channels["channel"].to_pylist(), channels["channel_group"].to_pylist(), strict=True)
    )
    follow = {row["channel"]: row for row in follow_ratios.to_pylist()}
    doubtful = {
        channel
        for channel, row in follow.items()
        if looks_confounded(row["follow_ratio"], row["std_error"])
    }
    rows: list[dict[str, object]] = []
    for conversion_type in sorted(totals["conversion_type"].unique().to_pylist()):
        of_type = pc.field("conversion_type") == conversion_type
        credited = sorted(totals.filter(of_type).to_pylist(), key=lambda row: str(row["channel"]))
        model = {row["channel"]: row for row in credited if row["channel"] != BASELINE}
        tests = [
            Experiment(
                channel=row["channel"],
                kind=row["kind"],
                lift=row["lift"],
                std_error=row["std_error"],
                predicted=row["predicted_lift"],
            )
            for row in experiments.filter(of_type).to_pylist()
            if row["predicted_lift"] is not None
        ]
        conversions = {channel: row["conversions"] for channel, row in model.items()}
        calibrated = calibrate(
            conversions,
            {channel: row["conversions_std_error"] or 0.0 for channel, row in model.items()},
            {channel: group_of.get(channel) or channel for channel in model},
            doubtful,
            tests,
            total=sum(row["conversions"] for row in credited),
        )
        advice = {
            each.channel: each
            for each in what_to_test_next(
                conversions,
                {channel: row["follow_ratio"] for channel, row in follow.items()},
                {channel: row["std_error"] for channel, row in follow.items()},
                tested=[test.channel for test in tests if test.predicted > 0],
            )
        }
        for each in calibrated:
            test = advice.get(each.channel)
            rows.append(
                {
                    "conversion_type": conversion_type,
                    "channel": each.channel,
                    "conversions": each.conversions,
                    "std_error": each.std_error,
                    "ratio": each.ratio,
                    "is_calibrated": each.is_calibrated,
                    "test_reason": test.reason if test else None,
                    "test_std_error_needed": test.std_error_needed if test else None,
                    "test_priority": test.priority if test else None,
                }
            )
    return pa.Table.from_pylist(rows, schema=CALIBRATED_TOTALS)

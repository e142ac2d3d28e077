"""Data-driven attribution: learn the hazard of converting from person-time, then take touches out.

A row is one person at one instant: every conversion, and instants drawn from all the time in which
people were at risk, each weighted by the person-days it stands for. Conversions and drawn instants
see the same thing, the touches so far, so a classifier that tells them apart learns the hazard
lambda(x) in conversions per person-day: its odds (case-control sampling of person-time). Journeys
cut at the conversion would instead teach what paths look like, which is not what causes.

Two learners: gradient-boosted trees whose hazard may not fall when a touch is added, and a
logistic regression with L2 penalty on saturating levels. Their mixture and its calibration are
chosen by log loss. Everything that is published is predicted for people the model has not seen.

What channel j earned of a conversion with channels N is its Shapley value in the game
v(S) = lambda with the touches of S alone, over v(N). v(empty) / v(N) is the baseline.

Sources: King and Zeng (2001) for case-control logits; Friedman (2001) for boosting, in
scikit-learn's histogram form after Ke et al. (2017); Shapley (1953); permutations in antithetic
pairs after Mitchell et al. (2022); stacking after Wolpert (1992).
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tributary.threads import one_thread

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BASELINE = "(baseline)"
"""Name of the channel that holds what no channel caused."""

FOLDS = 5
"""Groups of people; the predictions for each come from models of the others."""

FEWEST_CONVERTERS = 50
"""With fewer people who converted nothing is learned: distinct channels share equally."""

SCORED_CONVERSIONS = 20_000
"""Credits are computed for so many conversions at most; of more, for a sample."""

JACKKNIFE_CONVERSIONS = 1_000
"""Conversions on which the models of the folds are compared for the standard error. On the demo it
is 6 % (root mean square) off what all of them say, with 2,000 it was 3 %; that there are only five
models makes it uncertain by a third."""

EXACT_CHANNELS = 7
"""Shapley values are exact for up to so many channels in a journey."""

PERMUTATION_PAIRS = 8
"""Pairs of a permutation and its reverse that are averaged for more channels."""

LEVELS_OF_A_FEATURE = 64
"""The trees see features in so many steps."""

TOLERANCE = 1e-8
"""Slope of the log loss per person-day at which a logistic regression ends. People convert once in
thousands of days: at scikit-learn's 1e-4 it ended with some of them unexplained."""

MOST_CELLS_FILLED = 0.05
"""The logistic regression takes features as a sparse array where no more of their cells are filled,
as with a hundred channels of which a person has touched a few."""

LEAST_CREDIT = 1e-9
"""Share of a conversion: a channel that earned less has earned nothing."""

NORMAL_97_5 = 1.959963984540054

_CELLS_PER_BLOCK = 4_000_000


@dataclass(frozen=True)
class PersonDays:
    """Persons at instants: n rows, c channels, s scales of decay.

    Attributes
    ----------
    channels
        Names of the c channels.
    is_behaviour
        Shape (c,): the person's own doing, such as direct visits. Its touches are features, which
        nothing takes out: what they explain is baseline.
    person
        Shape (n,): number of the person.
    is_conversion
        Shape (n,): whether the row is a conversion or an instant drawn from the time at risk.
    weight
        Shape (n,), positive: how many conversions, or person-days, the row stands for.
    revenue
        Shape (n,): revenue of a conversion; 0 elsewhere.
    level
        Shape (n, c, s): touches so far, each faded at the mean life of the scale, at least 0.
    is_touched
        Shape (n, c): whether the channel has a touch in the journey so far.
    days_at_risk
        Shape (n,): days since the person's first touch, at least 0.
    is_repeat
        Shape (n,): whether the person had converted before.
    """

    channels: tuple[str, ...]
    is_behaviour: BoolArray
    person: IntArray
    is_conversion: BoolArray
    weight: FloatArray
    revenue: FloatArray
    level: FloatArray
    is_touched: BoolArray
    days_at_risk: FloatArray
    is_repeat: BoolArray

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises
        ------
        ValueError
            If shapes do not fit or a number is out of its range.
        """
        n, c = len(self.person), len(self.channels)
        for name in ("is_conversion", "weight", "revenue", "days_at_risk", "is_repeat"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must have one value for each of the {n} rows.")
        if self.is_touched.shape != (n, c) or self.level.shape[:2] != (n, c):
            raise ValueError(f"level and is_touched must have {n} rows of {c} channels.")
        if self.is_behaviour.shape != (c,):
            raise ValueError(f"is_behaviour must have one value for each of the {c} channels.")
        for name in ("level", "days_at_risk"):
            numbers = getattr(self, name)
            if not np.all(np.isfinite(numbers) & (numbers >= 0)):
                raise ValueError(f"Every number of {name} must be finite and at least 0.")
        if not np.all(np.isfinite(self.weight) & (self.weight > 0)):
            raise ValueError("Every weight must be finite and positive.")


@dataclass(frozen=True)
class DataDrivenFit:
    """What every channel earned, and how well the model predicts.

    Attributes
    ----------
    channels
        `BASELINE`, then the channels of the data.
    conversions, revenue
        Shape (channels,): they add up to the conversions that have a touch, and their revenue.
    std_error, revenue_std_error
        Shape (channels,): from two sources, the conversions that happened (and the sample that is
        scored) and the model's fit (jackknife over the folds). NaN where nothing was learned.
    diagnostics
        Name to value; see docs/methods/data-driven.md.
    """

    channels: tuple[str, ...]
    conversions: FloatArray
    revenue: FloatArray
    std_error: FloatArray
    revenue_std_error: FloatArray
    diagnostics: dict[str, float]


class _Trees(HistGradientBoostingClassifier):  # type: ignore[misc]
    """Boosted trees of features that are steps already, which need not be found again.

    Where scikit-learn no longer asks this method, it finds them itself: the same trees, later.
    """

    def _bin_data(
        self, codes: FloatArray, sample_weight: FloatArray, is_training_data: bool
    ) -> npt.NDArray[np.uint8]:
        if is_training_data:
            steps = np.arange(LEVELS_OF_A_FEATURE)[:, None]
            self._bin_mapper.fit(np.minimum(steps, codes.max(axis=0)))
        return codes.astype(np.uint8, order="F" if is_training_data else "C")


@dataclass(frozen=True)
class _Ensemble:
    """Both learners fitted to some rows, and how they are mixed.

    The hazard is exp(intercept) * mixture ** slope, where the mixture is of the two hazards.
    """

    trees: _Trees
    coefficients: FloatArray
    intercept: float
    share_of_trees: float = 1.0
    calibration: tuple[float, float] = (0.0, 1.0)

    def hazards(self, codes: npt.NDArray[np.float32], log_linear: FloatArray) -> FloatArray:
        """Hazards of the trees and of the linear model, shape (2, rows)."""
        return np.asarray(np.exp(np.stack([self.trees.decision_function(codes), log_linear])))

    def mixed(self, hazards: FloatArray) -> FloatArray:
        """Mix and calibrate."""
        mixture = self.share_of_trees * hazards[0] + (1 - self.share_of_trees) * hazards[1]
        intercept, slope = self.calibration
        return np.asarray(np.exp(intercept + slope * np.log(mixture)))


def fit_data_driven(data: PersonDays, seed: int = 0) -> DataDrivenFit:
    """Learn the hazard and credit every conversion that has a touch.

    Parameters
    ----------
    data
        Conversions and drawn instants. Their order decides which random number goes to which: give
        it in an order of its own, such as by id.
    seed
        Seed of folds, boosting and permutations.

    Returns
    -------
    DataDrivenFit
        Deterministic given the seed and the order of the rows. Names and order of channels play no
        part beyond rounding, except where two channels are touched in as many rows with the same
        total of levels.

    Raises
    ------
    ValueError
        If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"The seed is {seed}; it must be at least 0.")
    # An order of channels that does not depend on their names.
    order = np.lexsort(
        (np.arange(len(data.channels)), data.level.sum(axis=(0, 2)), data.is_touched.sum(axis=0))
    )[::-1]
    scored = np.flatnonzero(data.is_conversion & data.is_touched.any(axis=1))
    total = data.weight[scored].sum()
    total_revenue = (data.weight * data.revenue)[scored].sum()
    rng = np.random.default_rng([seed, 0])
    if len(scored) > SCORED_CONVERSIONS:
        scored = np.sort(rng.choice(scored, SCORED_CONVERSIONS, replace=False))
    weight = data.weight[scored] * (total / max(data.weight[scored].sum(), 1e-300))

    converters = len(np.unique(data.person[data.is_conversion]))
    drawn = len(np.unique(data.person[~data.is_conversion]))
    is_learned = min(converters, drawn) >= FEWEST_CONVERTERS
    diagnostics = {
        "is_learned": float(is_learned),
        "conversions": float(data.weight[data.is_conversion].sum()),
        "conversions_learned_from": float(data.is_conversion.sum()),
        "conversions_scored": float(len(scored)),
        "person_days": float(data.weight[~data.is_conversion].sum()),
        "person_days_learned_from": float((~data.is_conversion).sum()),
    }
    credits = np.empty((len(scored), len(data.channels)))
    fit_error = np.full(len(data.channels) + 1, np.nan)
    if is_learned:
        columns = _Columns.of(data, order)
        with one_thread():
            credits[:, order], fit_error[1 + order], fit_error[0], quality = _learn(
                data, columns, scored, weight, seed
            )
        diagnostics |= quality
    else:
        earning = data.is_touched[scored] & ~data.is_behaviour
        credits = earning / np.maximum(earning.sum(axis=1, keepdims=True), 1)

    credits = np.column_stack([np.maximum(1 - credits.sum(axis=1), 0), credits])
    revenue = weight * data.revenue[scored]
    # Scored conversions stand for all of them, and so does their revenue.
    revenue *= total_revenue / revenue.sum() if revenue.sum() else 1.0
    conversions = weight @ credits
    _, person = np.unique(data.person[scored], return_inverse=True)
    return DataDrivenFit(
        channels=(BASELINE, *data.channels),
        conversions=conversions,
        revenue=revenue @ credits,
        std_error=np.hypot(_poisson_error(person, weight, credits), fit_error),
        revenue_std_error=np.hypot(
            _poisson_error(person, revenue, credits),
            fit_error * (total_revenue / total if total else 0.0),
        ),
        diagnostics=diagnostics,
    )


def _poisson_error(person: IntArray, amount: FloatArray, credits: FloatArray) -> FloatArray:
    """Take every person for a draw of a Poisson process: standard error of amount @ credits."""
    by_person = np.zeros((int(person.max(initial=-1)) + 1, credits.shape[1]))
    np.add.at(by_person, person, amount[:, None] * credits)
    return np.asarray(np.sqrt((by_person**2).sum(axis=0)))


@dataclass(frozen=True)
class _Columns:
    """What the learners see, the levels of all channels first.

    Attributes
    ----------
    codes
        Shape (rows, features): steps, for the trees.
    linear, empty
        Shape (rows, features) and (features,): saturating, centred and scaled, for the linear
        model; and what 0 becomes.
    uncentred
        Shape (rows, features): scaled only, so that 0 stays 0, or None where few cells are 0.
    is_touched, is_behaviour
        As in the data, in the same order of channels as the levels.
    scales
        Number of levels of one channel.
    """

    codes: npt.NDArray[np.float32]
    linear: FloatArray
    empty: FloatArray
    uncentred: sparse.csr_array | None
    is_touched: BoolArray
    is_behaviour: BoolArray
    scales: int

    @staticmethod
    def of(data: PersonDays, order: IntArray) -> "_Columns":
        """Arrange the features."""
        level = data.level[:, order].reshape(len(data.person), -1)
        person = np.column_stack([data.days_at_risk, data.is_repeat])
        plain = np.column_stack([np.log1p(4 * level), np.log1p(data.days_at_risk), data.is_repeat])
        mean, spread = plain.mean(axis=0), plain.std(axis=0)
        spread[spread == 0] = 1.0
        is_sparse = np.count_nonzero(plain) <= MOST_CELLS_FILLED * plain.size
        return _Columns(
            codes=_codes(np.column_stack([level, person])),
            linear=(plain - mean) / spread,
            empty=-mean / spread,
            uncentred=sparse.csr_array(plain / spread) if is_sparse else None,
            is_touched=data.is_touched[:, order],
            is_behaviour=data.is_behaviour[order],
            scales=data.level.shape[2],
        )


def _codes(values: FloatArray) -> npt.NDArray[np.float32]:
    """Cut each column at quantiles of what is positive: 0 for 0, then steps from 1."""
    codes = np.zeros(values.shape, dtype=np.float32)
    steps = np.linspace(0, 1, LEVELS_OF_A_FEATURE)[1:-1]
    for column in range(values.shape[1]):
        positive = values[:, column] > 0
        if positive.any():
            present = values[positive, column]
            edges = np.unique(np.quantile(present, steps))
            codes[positive, column] = 1 + np.searchsorted(edges, present)
    return codes


def _learn(
    data: PersonDays, columns: _Columns, scored: IntArray, weight: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray, float, dict[str, float]]:
    """Fit, mix, calibrate, credit: credits of the scored conversions, errors, diagnostics."""
    rng = np.random.default_rng([seed, 1])
    people, person = np.unique(data.person, return_inverse=True)
    # Converters and others are dealt out in turn, so that no fold is without conversions.
    converts = np.zeros(len(people), dtype=bool)
    converts[person[data.is_conversion]] = True
    fold_of_person = np.empty(len(people), dtype=np.int64)
    shuffled = rng.permutation(len(people))
    shuffled = shuffled[np.argsort(converts[shuffled], kind="stable")]
    fold_of_person[shuffled] = np.arange(len(people)) % FOLDS
    fold = fold_of_person[person]

    # The folds have most rows in common: the linear model begins where the one before ended.
    linear = LogisticRegression(
        C=1.0, solver="newton-cholesky", tol=TOLERANCE, max_iter=100, warm_start=True
    )
    models = [_fit(data, columns, fold != number, linear, seed) for number in range(FOLDS)]
    hazards = np.empty((2, len(fold)))
    for number, model in enumerate(models):
        rows = np.flatnonzero(fold == number)
        hazards[:, rows] = model.hazards(
            columns.codes[rows], model.intercept + columns.linear[rows] @ model.coefficients
        )

    predicted = np.empty(len(fold))
    for number, model in enumerate(models):
        others = fold != number
        share, calibration = _mix(
            hazards[:, others], data.is_conversion[others], data.weight[others]
        )
        models[number] = _Ensemble(
            model.trees, model.coefficients, model.intercept, share, calibration
        )
        predicted[~others] = models[number].mixed(hazards[:, ~others])

    # Each model has seen all folds but one: a delete-a-group jackknife, on common conversions.
    is_compared = np.ones(len(scored), dtype=bool)
    if len(scored) > JACKKNIFE_CONVERSIONS:
        is_compared[:] = False
        is_compared[rng.choice(len(scored), JACKKNIFE_CONVERSIONS, replace=False)] = True
    share_of = weight * is_compared / weight[is_compared].sum()
    credits = np.empty((len(scored), len(columns.is_behaviour)))
    replicates = np.empty((FOLDS, len(columns.is_behaviour)))
    for number, model in enumerate(models):
        is_own = fold[scored] == number
        (some,) = np.nonzero(is_own | is_compared)
        found = _credits(model, columns, scored[some], seed)
        credits[is_own] = found[is_own[some]]
        replicates[number] = share_of[some] @ found
    replicates = np.column_stack([replicates, 1 - replicates.sum(axis=1)]) * weight.sum()
    error = np.sqrt((FOLDS - 1) * replicates.var(axis=0))
    quality = _quality(predicted, hazards, data.is_conversion, data.weight)
    quality["share_of_trees"] = float(np.mean([model.share_of_trees for model in models]))
    return credits, error[:-1], float(error[-1]), quality


def _fit(
    data: PersonDays, columns: _Columns, rows: BoolArray, linear: LogisticRegression, seed: int
) -> _Ensemble:
    """Fit both learners to some rows."""
    n_levels = len(columns.is_behaviour) * columns.scales
    is_conversion, weight = data.is_conversion[rows], data.weight[rows]
    trees = _Trees(
        learning_rate=0.1,
        max_iter=150,
        max_leaf_nodes=15,
        max_bins=LEVELS_OF_A_FEATURE,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=True,
        validation_fraction=0.15,
        n_iter_no_change=8,
        monotonic_cst=[1] * n_levels + [0] * (columns.codes.shape[1] - n_levels),
        random_state=seed,
    ).fit(columns.codes[rows], is_conversion, weight)
    if columns.uncentred is None:
        linear.fit(columns.linear[rows], is_conversion, weight)
        return _Ensemble(trees, linear.coef_[0].copy(), float(linear.intercept_[0]))
    # Only the intercept, which has no penalty, depends on where the features have their 0.
    linear.fit(columns.uncentred[rows], is_conversion, weight)
    intercept = linear.intercept_[0] - columns.empty @ linear.coef_[0]
    return _Ensemble(trees, linear.coef_[0].copy(), float(intercept))


def _log_loss(hazard: FloatArray, is_conversion: BoolArray, weight: FloatArray) -> float:
    """Log loss per conversion of odds, in nats."""
    loss = weight @ np.where(is_conversion, np.log1p(1 / hazard), np.log1p(hazard))
    return float(loss / weight[is_conversion].sum())


def _mix(
    hazards: FloatArray, is_conversion: BoolArray, weight: FloatArray
) -> tuple[float, tuple[float, float]]:
    """Share of the trees with the least log loss, and intercept and slope of the calibration."""
    shares = np.linspace(0, 1, 21)
    losses = [
        _log_loss(share * hazards[0] + (1 - share) * hazards[1], is_conversion, weight)
        for share in shares
    ]
    best = float(shares[int(np.argmin(losses))])
    mixture = best * hazards[0] + (1 - best) * hazards[1]
    intercept, slope = _calibration(mixture, is_conversion, weight)
    if slope <= 0:
        # What ranks people the wrong way round has learned nothing: everybody has the mean rate.
        slope = 0.0
        intercept = float(np.log(weight[is_conversion].sum() / weight[~is_conversion].sum()))
    return best, (intercept, slope)


def _calibration(
    hazard: FloatArray, is_conversion: BoolArray, weight: FloatArray
) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of what happened on the log hazard."""
    log_hazard = np.log(hazard)
    if np.ptp(log_hazard) < 1e-9:
        return 0.0, 1.0
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=TOLERANCE).fit(
        log_hazard[:, None], is_conversion, weight
    )
    return float(model.intercept_[0]), float(model.coef_[0, 0])


def _quality(
    predicted: FloatArray, hazards: FloatArray, is_conversion: BoolArray, weight: FloatArray
) -> dict[str, float]:
    """How good predictions for people not seen are."""
    conversions = weight[is_conversion].sum()
    rate = np.full(len(weight), conversions / weight[~is_conversion].sum())
    intercept, slope = _calibration(predicted, is_conversion, weight)
    # Ten groups by predicted hazard with about as many predicted conversions each.
    expected = np.where(is_conversion, 0.0, weight * predicted)
    order = np.argsort(predicted, kind="stable")
    cumulative = expected[order].cumsum()
    cuts = predicted[order][np.searchsorted(cumulative, cumulative[-1] * np.arange(1, 10) / 10)]
    group = np.searchsorted(cuts, predicted, side="left")
    expected_in = np.bincount(group, expected, minlength=10)
    observed_in = np.bincount(group, weight * is_conversion, minlength=10)
    return {
        "auc": float(roc_auc_score(is_conversion, predicted, sample_weight=weight)),
        "log_loss": _log_loss(predicted, is_conversion, weight),
        "log_loss_null": _log_loss(rate, is_conversion, weight),
        "log_loss_trees": _log_loss(hazards[0], is_conversion, weight),
        "log_loss_linear": _log_loss(hazards[1], is_conversion, weight),
        "calibration_intercept": intercept,
        "calibration_slope": slope,
        "expected_calibration_error": float(np.abs(expected_in - observed_in).sum() / conversions),
    }


def _credits(model: _Ensemble, columns: _Columns, rows: IntArray, seed: int) -> FloatArray:
    """Shares of each row's hazard that its channels account for, shape (rows, channels).

    At least 0, and with the baseline they add up to 1: where a channel lowers the hazard, or adds
    what rounding leaves, its share is 0, and shares that exceed the whole are scaled down to it.
    """
    n_channels, scales = len(columns.is_behaviour), columns.scales
    n_levels = n_channels * scales
    slope = model.coefficients[:n_levels]
    from_touches = ((columns.linear[rows, :n_levels] - columns.empty[:n_levels]) * slope).reshape(
        len(rows), n_channels, scales
    )
    added = from_touches.sum(axis=2)
    log_linear = model.intercept + columns.linear[rows] @ model.coefficients
    is_player = columns.is_touched[rows] & ~columns.is_behaviour
    n_players = is_player.sum(axis=1)
    credits = np.zeros((len(rows), n_channels))
    for count in np.unique(n_players[n_players > 0]):
        game = _exact_game(count) if count <= EXACT_CHANNELS else _sampled_game(count, seed)
        (group,) = np.nonzero(n_players == count)
        size = max(1, _CELLS_PER_BLOCK // (len(game.coalitions) * columns.codes.shape[1]))
        for start in range(0, len(group), size):
            block = group[start : start + size]
            players = np.nonzero(is_player[block])[1].reshape(len(block), count)

            is_out = np.zeros((len(block), len(game.coalitions), n_channels), dtype=bool)
            np.put_along_axis(is_out, players[:, None, :], ~game.coalitions[None], axis=2)
            codes = np.repeat(columns.codes[rows[block], None], len(game.coalitions), axis=1)
            codes[:, :, :n_levels][np.repeat(is_out, scales, axis=2)] = 0
            lost = np.take_along_axis(added[block], players, axis=1) @ ~game.coalitions.T
            values = model.mixed(
                model.hazards(
                    codes.reshape(-1, codes.shape[2]),
                    (log_linear[block, None] - lost).ravel(),
                )
            ).reshape(len(block), -1)
            shares = game.shapley(values) / values[:, [game.grand]]
            shares[shares < LEAST_CREDIT] = 0.0
            baseline = np.minimum(values[:, [game.empty]] / values[:, [game.grand]], 1)
            earned = shares.sum(axis=1, keepdims=True)
            shares *= np.divide(1 - baseline, earned, out=np.zeros_like(earned), where=earned > 0)
            credits[block[:, None], players] = shares
    return credits


@dataclass(frozen=True)
class _Game:
    """Which coalitions of k players to evaluate, and how Shapley values follow from them.

    Attributes
    ----------
    coalitions
        Shape (e, k): who is in.
    weights
        Shape (e, k): Shapley value of a player = sum over coalitions of value x weight.
    empty, grand
        Places of the coalitions of nobody and of everybody.
    """

    coalitions: BoolArray
    weights: FloatArray
    empty: int
    grand: int

    def shapley(self, values: FloatArray) -> FloatArray:
        """Shapley values, shape (m, k), from values of the coalitions, shape (m, e)."""
        return np.asarray(values @ self.weights)


def _exact_game(players: int) -> _Game:
    """Every coalition."""
    coalitions = (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)
    size = coalitions.sum(axis=1)[:, None]
    # Probability that exactly the others of a coalition come before the player.
    before = np.array(
        [factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)]
    )
    weights = np.where(
        coalitions, before[np.maximum(size - 1, 0)], -before[np.minimum(size, players - 1)]
    )
    return _Game(coalitions, weights, 0, len(coalitions) - 1)


def _sampled_game(players: int, seed: int) -> _Game:
    """Random permutations, each with its reverse: the values still add up to the whole."""
    rng = np.random.default_rng([seed, 2, players])
    steps: dict[bytes, IntArray] = {}
    coalitions: list[BoolArray] = []

    def place(coalition: BoolArray) -> int:
        key = coalition.tobytes()
        if key not in steps:
            steps[key] = np.array(len(coalitions))
            coalitions.append(coalition.copy())
        return int(steps[key])

    empty, grand = place(np.zeros(players, dtype=bool)), place(np.ones(players, dtype=bool))
    moves = []
    for _ in range(PERMUTATION_PAIRS):
        forward = rng.permutation(players)
        for permutation in (forward, forward[::-1]):
            inside = np.zeros(players, dtype=bool)
            at = empty
            for player in permutation:
                inside[player] = True
                after = place(inside)
                moves.append((at, after, player))
                at = after
    weights = np.zeros((len(coalitions), players))
    for before, after, player in moves:
        weights[before, player] -= 1 / (2 * PERMUTATION_PAIRS)
        weights[after, player] += 1 / (2 * PERMUTATION_PAIRS)
    return _Game(np.array(coalitions), weights, empty, grand)


def read_person_days(rows: pa.Table, touches: pa.Table) -> dict[str, PersonDays]:
    """Arrange rows of a warehouse into arrays.

    Parameters
    ----------
    rows
        Columns conversion_type, source, person_day_id, person_key, is_conversion, weight, revenue,
        days_at_risk and is_repeat; one row per type, source and id. Further columns are ignored.
    touches
        Columns conversion_type, source, person_day_id, channel, is_behaviour and one column
        level_<days> per scale; one row for each of these rows and channel touched so far.

    Returns
    -------
    dict
        Conversion type to its data, sorted. Rows are sorted by source and id.

    Raises
    ------
    ValueError
        If touches has no level.
    """
    scales = sorted(name for name in touches.column_names if name.startswith("level_"))
    if not scales:
        raise ValueError("There is no column level_<days> among the touches.")
    key = ["source", "person_day_id"]
    read = {}
    for conversion_type in sorted(rows["conversion_type"].unique().to_pylist()):
        part = rows.filter(pc.equal(rows["conversion_type"], conversion_type))
        part = part.sort_by([(name, "ascending") for name in key])
        n = len(part)
        touched = touches.filter(pc.equal(touches["conversion_type"], conversion_type))
        row_of = part.select(key).append_column("row", pa.array(np.arange(n)))
        touched = touched.join(row_of, key, join_type="inner")
        channels = touched.group_by("channel").aggregate([("is_behaviour", "max")])
        channels = channels.sort_by("channel")
        names = channels["channel"].to_pylist()
        number = pc.index_in(touched["channel"], channels["channel"].combine_chunks())
        place = (touched["row"].to_numpy(), number.to_numpy())
        level = np.zeros((n, len(names), len(scales)))
        level[place] = np.column_stack(
            [touched[name].cast(pa.float64()).to_numpy() for name in scales]
        )
        is_touched = np.zeros((n, len(names)), dtype=bool)
        is_touched[place] = True
        source = part["source"].combine_chunks().dictionary_encode().indices.to_numpy()
        person = part["person_key"].combine_chunks().dictionary_encode().indices.to_numpy()
        _, of_source = np.unique(
            source.astype(np.int64) * (int(person.max(initial=0)) + 1) + person,
            return_inverse=True,
        )
        read[conversion_type] = PersonDays(
            channels=tuple(names),
            is_behaviour=np.array(channels["is_behaviour_max"].to_pylist(), dtype=bool),
            person=of_source,
            is_conversion=_column(part, "is_conversion", pa.int8()).astype(bool),
            weight=_column(part, "weight"),
            revenue=_column(part, "revenue"),
            level=level,
            is_touched=is_touched,
            days_at_risk=_column(part, "days_at_risk"),
            is_repeat=_column(part, "is_repeat", pa.int8()).astype(bool),
        )
    return read


def _column(table: pa.Table, name: str, type_: pa.DataType | None = None) -> FloatArray:
    """Numbers of a column, null as 0."""
    values = pc.fill_null(table[name].cast(type_ or pa.float64()), 0)
    return np.asarray(values.to_numpy())


RESULTS = pa.schema(
    [
        pa.field("conversion_type", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("std_error", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
    ]
)
"""Kinds of rows: total and revenue (name is a channel or `BASELINE`), and diagnostic."""


def attribute_person_days(rows: pa.Table, touches: pa.Table) -> pa.Table:
    """Learn from the person-time of each conversion type and credit its conversions.

    Parameters
    ----------
    rows, touches
        See `read_person_days`.

    Returns
    -------
    pyarrow.Table
        Schema `RESULTS`, sorted. Totals add up to the conversions that have a touch, revenue to
        theirs. Intervals are 95 %.
    """
    results: list[dict[str, object]] = []
    for conversion_type, data in read_person_days(rows, touches).items():
        fit = fit_data_driven(data)
        for kind, values, errors in (
            ("revenue", fit.revenue, fit.revenue_std_error),
            ("total", fit.conversions, fit.std_error),
        ):
            for name, value, error in zip(fit.channels, values, errors, strict=True):
                row = {"kind": kind, "name": name, "value": float(value)}
                if np.isfinite(error):
                    reach = NORMAL_97_5 * error
                    row |= {
                        "std_error": float(error),
                        "low": max(float(value - reach), 0.0),
                        "high": float(value + reach),
                    }
                results.append({"conversion_type": conversion_type, **row})
        results += [
            {"conversion_type": conversion_type, "kind": "diagnostic", "name": name, "value": value}
            for name, value in fit.diagnostics.items()
        ]
    table = pa.Table.from_pylist(results, schema=RESULTS)
    return table.sort_by([(name, "ascending") for name in ("conversion_type", "kind", "name")])

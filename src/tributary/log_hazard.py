"""The hazard with a log link: channels multiply each other's effect.

    log lambda_i(t) = a + sum over channels k, decays m of
                      g[k, m] * (1 - exp(-A_ikm(t))),

where A_ikm is the sum over the person's earlier touches of channel k of exp(-age / m): the more
touches, the less one more adds. The log likelihood sum over conversions of eta - integral of
exp(eta) needs the features of everybody at all times; a weighted sample of person-time stands in
for it (importance sampling: denser right after touches, where the hazard changes).

The hazard at a conversion is a product of one factor per channel present, so the game "which
channels are present" has a closed form: its multilinear extension is the product of
1 + x (factor - 1), and the Shapley value is the integral of its slope along the diagonal (Owen,
1972), which Gauss-Legendre nodes give exactly for up to 2 x nodes channels at one conversion.

Source of the method: Poisson regression on person-time after Berman and Turner (1992); see
docs/methods/hazard.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tributary.gram import gram_matrix

FloatArray = npt.NDArray[np.float64]

RIDGE = 1.0
"""Penalty: as if one conversion spoke for every effect being 0."""

NODES = 6
"""Nodes of the quadrature of Shapley values: exact for up to 12 channels at one conversion."""

MAX_LOG_HAZARD = 50.0


@dataclass(frozen=True)
class LogFit:
    """A fitted hazard with log link.

    Attributes
    ----------
    coefficients
        Shape (r,): what each column of the design adds to the logarithm of the hazard, which is in
        conversions per person-day.
    information
        Shape (r, r): second derivative of the penalised log likelihood, negated.
    """

    coefficients: FloatArray
    information: FloatArray


def saturated(
    values: sparse.csr_array, column_of: npt.NDArray[np.int64], columns: int
) -> FloatArray:
    """Saturating adstock of each channel and decay, and an intercept.

    Parameters
    ----------
    values
        Sparse, shape (n, p): fading touches per feature.
    column_of
        Shape (p,): column of the adstock each feature is added to, or -1 for none.
    columns
        Number r - 1 of such columns.

    Returns
    -------
    numpy.ndarray
        Shape (n, r): 1, then 1 - exp(-A), in [0, 1).
    """
    (kept,) = np.nonzero(column_of >= 0)
    adding = sparse.csr_array(
        (np.ones(len(kept)), (kept, column_of[kept])), shape=(len(column_of), columns)
    )
    adstock = (values @ adding).toarray()
    return np.column_stack([np.ones(len(adstock)), -np.expm1(-adstock)])


def fit_log_link(
    design: FloatArray,
    weights: FloatArray,
    point_design: FloatArray,
    point_weights: FloatArray,
    start: FloatArray | None = None,
    max_steps: int = 50,
) -> LogFit:
    """Maximise the penalised log likelihood by Newton's method with halved steps.

    Parameters
    ----------
    design, weights
        Shape (n, r) and (n,): features of the conversions, the first of them 1, and what each
        stands for; at least one conversion.
    point_design, point_weights
        Shape (q, r) and (q,): features of the sampled person-time and the person-days each stands
        for; at least one with a positive weight.
    start
        Shape (r,): where to begin. By default everybody has the mean rate.
    max_steps
        Stop after so many steps.

    Raises
    ------
    ValueError
        If there is no conversion or no person-time.
    """
    if not weights.sum() > 0 or not point_weights.sum() > 0:
        raise ValueError("A hazard needs at least one conversion and some person-time.")
    penalty = np.full(design.shape[1], RIDGE)
    penalty[0] = 0.0
    gained = weights @ design

    def expected(coefficients: FloatArray) -> FloatArray:
        log_hazard = np.minimum(point_design @ coefficients, MAX_LOG_HAZARD)
        return np.asarray(point_weights * np.exp(log_hazard))

    def height(coefficients: FloatArray, mass: FloatArray) -> float:
        return float(gained @ coefficients - mass.sum() - penalty @ coefficients**2 / 2)

    if start is None:
        start = np.zeros(design.shape[1])
        start[0] = np.log(weights.sum() / point_weights.sum())
    coefficients = start
    mass = expected(coefficients)
    best = height(coefficients, mass)
    for _ in range(max_steps):
        information = gram_matrix(point_design, mass) + np.diag(penalty)
        slope = gained - point_design.T @ mass - penalty * coefficients
        step = np.linalg.solve(information, slope)
        reached, length = best, 1.0
        while length > 1e-6:
            candidate = coefficients + length * step
            candidate_mass = expected(candidate)
            reached = height(candidate, candidate_mass)
            if reached >= best:
                break
            length /= 2
        if reached < best:
            break
        gain, best = reached - best, reached
        coefficients, mass = candidate, candidate_mass
        if gain < 1e-6:
            break
    information = gram_matrix(point_design, mass) + np.diag(penalty)
    return LogFit(coefficients, information)


def shapley_shares(log_factors: FloatArray, is_signed: bool = False) -> FloatArray:
    """Share of each channel in a hazard that is a product of factors.

    Parameters
    ----------
    log_factors
        Shape (n, channels): logarithm of each channel's factor, 0 for an absent channel. Channels
        whose factor is below 1 count as absent: nobody is paid for conversions that did not happen.
    is_signed
        Whether such a channel has a share below 0 all the same, of at least -1: what it takes from
        those that the others bring about. Theirs are as they are without it.

    Returns
    -------
    numpy.ndarray
        Shape (n, channels), at least 0 unless signed: Shapley value of the channel in the game
        v(S) = product of the factors in S, divided by the whole product. Each row adds up to
        1 - 1 / product; the rest is the baseline.
    """
    signed = np.expm1(np.minimum(log_factors, MAX_LOG_HAZARD))
    log_factors = np.clip(log_factors, 0.0, MAX_LOG_HAZARD)
    gain = np.expm1(log_factors)
    credited = signed if is_signed else gain
    total = log_factors.sum(axis=1, keepdims=True)
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    shares = np.zeros_like(gain)
    for place, weight in zip((nodes + 1) / 2, node_weights / 2, strict=True):
        part = 1 + place * gain
        product = np.exp(np.log(part).sum(axis=1, keepdims=True) - total)
        shares += weight * credited / part * product
    return shares

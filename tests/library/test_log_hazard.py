from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tributary.log_hazard import fit_log_link, saturated, shapley_shares

FloatArray = npt.NDArray[np.float64]


def by_definition(log_factors: FloatArray) -> FloatArray:
    """Average over all orders in which the factors could come."""
    n = len(log_factors)
    value = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        reached = 1.0
        for channel in order:
            value[channel] += reached * np.expm1(log_factors[channel])
            reached *= np.exp(log_factors[channel])
    return np.asarray(value / len(orders) / np.exp(log_factors.sum()))


@given(st.lists(st.floats(0, 5), min_size=1, max_size=5))
def test_shares_are_the_shapley_values_of_the_product(factors: list[float]) -> None:
    log_factors = np.array(factors)

    assert shapley_shares(log_factors[None])[0] == pytest.approx(by_definition(log_factors))


@given(st.lists(st.floats(-3, 4), min_size=1, max_size=12))
def test_shares_and_baseline_add_up_to_1(factors: list[float]) -> None:
    log_factors = np.array(factors)
    shares = shapley_shares(log_factors[None])[0]

    assert np.all(shares >= 0)
    assert shares.sum() == pytest.approx(1 - np.exp(-np.maximum(log_factors, 0).sum()))


def test_an_absent_channel_and_one_that_harms_have_no_share() -> None:
    assert shapley_shares(np.array([[0.0, -1.0, np.log(2)]]))[0] == pytest.approx([0, 0, 0.5])


def test_a_channel_that_harms_has_a_share_below_0_where_shares_are_signed() -> None:
    log_factors = np.log([[2.0, 0.5]])
    # The second halves what is there: 1 before the first, 2 after it, of a product of 2.
    assert shapley_shares(log_factors, is_signed=True)[0] == pytest.approx([0.5, -0.375])
    assert shapley_shares(log_factors)[0] == pytest.approx([0.5, 0.0])


def test_adstock_saturates_and_ordinals_add_up() -> None:
    values = sparse.csr_array(np.array([[1.0, 0.5, 7.0], [0.0, 0.0, 0.0]]))

    design = saturated(values, np.array([0, 0, -1]), 1)

    assert design == pytest.approx(np.array([[1, 1 - np.exp(-1.5)], [1, 0]]))


def test_without_effects_the_hazard_is_conversions_per_person_day() -> None:
    fit = fit_log_link(np.ones((6, 1)), np.full(6, 2.0), np.ones((3, 1)), np.full(3, 100.0))

    assert np.exp(fit.coefficients[0]) == pytest.approx(12 / 300)
    assert fit.information[0, 0] == pytest.approx(12)


def test_a_harmful_separated_effect_stays_finite() -> None:
    design = np.array([[1.0, 0.9]] * 5)
    fit = fit_log_link(design, np.ones(5), np.array([[1.0, 0.0], [1.0, 0.9]]), np.ones(2))

    assert np.all(np.isfinite(fit.coefficients))
    assert fit.coefficients[1] > 0


def test_nothing_to_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one conversion"):
        fit_log_link(np.ones((0, 1)), np.ones(0), np.ones((1, 1)), np.ones(1))

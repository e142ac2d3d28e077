"""Gram matrices in blocks, against one product of all rows."""

import numpy as np
import pytest
from scipy import sparse

from tributary.gram import CELLS_PER_BLOCK, gram_matrix


@pytest.mark.parametrize("rows", [0, 3, CELLS_PER_BLOCK // 4, CELLS_PER_BLOCK // 2 + 7])
def test_a_gram_matrix_is_that_of_all_rows(rows: int) -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(rows, 4)) * (rng.random((rows, 4)) < 0.5)
    weights = rng.random(rows)
    expected = (dense.T * weights) @ dense

    np.testing.assert_allclose(gram_matrix(dense, weights), expected, atol=1e-9)
    np.testing.assert_allclose(gram_matrix(sparse.csr_array(dense), weights), expected, atol=1e-9)

"""Gram matrices of long tables: sums over rows of row x row'."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.float64]

CELLS_PER_BLOCK = 2**19
"""Cells taken at once as a dense array: what fits into a processor's cache, or nearly."""


def gram_matrix(rows: FloatArray | sparse.csr_array, weights: FloatArray) -> FloatArray:
    """Sum over rows of weight x row x row'.

    Sparse rows are made dense a block at a time: their products with a dense block are several
    times as fast as those of sparse arrays with each other, whose cells are found one by one.

    Parameters
    ----------
    rows
        Shape (n, p), dense or sparse.
    weights
        Shape (n,).

    Returns
    -------
    numpy.ndarray
        Shape (p, p), dense. O(nonzero values x p) time, and memory of one block.
    """
    n, p = rows.shape
    squares = np.zeros((p, p))
    at_once = max(1, CELLS_PER_BLOCK // max(p, 1))
    for start in range(0, n, at_once):
        block = rows[start : start + at_once]
        dense = block.toarray() if isinstance(block, sparse.csr_array) else block
        squares += block.T @ (dense * weights[start : start + at_once, None])
    return squares

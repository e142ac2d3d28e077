"""One thread for the numerical libraries, for fits that gain nothing from several.

Their threads wait for each other by turning in circles, which beside other work on the same cores
takes many times as long as the fit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_fits: list[threadpool_limits] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS and OpenMP use one thread until the last of the fits that run at once has ended.

    BLAS has one number of threads for the whole process: were it set back when the first of two
    fits ends, the other one would go on with several, and its last digits would depend on when.
    OpenMP has a number for each thread that calls it.
    """
    with _lock:
        _fits.append(threadpool_limits(limits=1, user_api="blas"))
    try:
        with threadpool_limits(limits=1, user_api="openmp"):
            yield
    finally:
        with _lock:
            limits = _fits.pop()
            if not _fits:
                # The first that was put in: it knows what was before.
                limits.restore_original_limits()

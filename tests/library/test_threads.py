"""Fits that run at once use one thread each until the last of them has ended."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from tributary.threads import one_thread


def blas_threads() -> set[int]:
    assert np.dot(np.ones(2), np.ones(2)) == 2  # the library is loaded
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(limits=2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS has no second thread here")
        yield


def test_the_number_of_threads_is_what_it_was_after_a_fit_and_after_an_error() -> None:
    with one_thread():
        assert blas_threads() == {1}
    assert blas_threads() == {2}
    with pytest.raises(ValueError, match="a fit fails"), one_thread():
        raise ValueError("a fit fails")
    assert blas_threads() == {2}


def test_a_fit_that_ends_leaves_the_others_on_one_thread() -> None:
    is_in, may_end = Event(), Event()

    def first() -> None:
        with one_thread():
            is_in.set()
            may_end.wait(timeout=10)

    with ThreadPoolExecutor() as pool:
        running = pool.submit(first)
        assert is_in.wait(timeout=10)
        with one_thread():
            may_end.set()
            running.result()
            assert blas_threads() == {1}
    assert blas_threads() == {2}

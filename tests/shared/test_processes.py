"""Parallel calls: order of the results, backends, and no warning about workers that loky replaces."""

import time
import warnings

import pytest
from joblib import Parallel, delayed, parallel_config

from skdim._shared.processes import in_processes

_allocated = []


def allocate(n_bytes, seconds):
    """In a worker: keep memory, as an import does, for longer than loky's interval between checks."""
    _allocated.append(b"x" * n_bytes)
    time.sleep(seconds)
    return n_bytes


#: After a first task for each of two workers, tasks whose memory loky takes for a leak.
CALLS = [delayed(allocate)(0, 0.3)] * 2 + [delayed(allocate)(350_000_000, 1.1)] * 3


def messages(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sizes = list(run())
    assert sorted(sizes) == [0, 0, *[350_000_000] * 3]
    return [str(warning.message) for warning in caught]


def test_replaced_workers_raise_no_warning():
    pytest.importorskip("psutil", reason="loky measures the memory of workers only with psutil")
    plain = messages(lambda: Parallel(n_jobs=2, return_as="generator")(CALLS))
    assert any(message.startswith("A worker stopped while some jobs") for message in plain), "joblib does not warn"
    assert messages(lambda: in_processes(CALLS, 2)) == []


def test_results_are_in_the_order_of_the_calls():
    assert list(in_processes([delayed(pow)(k, 2) for k in range(10)], 2)) == [k**2 for k in range(10)]


@pytest.mark.parametrize("ordered", [False, True])
def test_backends_without_generators_return_a_list(ordered):
    with parallel_config("multiprocessing"):
        results = in_processes([delayed(pow)(k, 2) for k in range(10)], 2, ordered=ordered)
    assert results == [k**2 for k in range(10)]


def test_filters_are_restored():
    before = list(warnings.filters)
    list(in_processes([delayed(abs)(-1)], 1))
    unfinished = in_processes([delayed(abs)(-1)] * 3, 1)
    next(unfinished)
    unfinished.close()
    assert warnings.filters == before

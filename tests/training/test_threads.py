"""Threads of inference and of the next batch: order, errors and interrupts, forked processes; how many there are."""

import os
import threading
import time

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdim._training.batches import inference_sites, split_by_sites
from skdim._training.threads import available_cores, map_ahead, map_in_threads, resolve_threads


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_results_are_in_the_order_of_the_items(n_threads):
    def slow_at_first(k):
        time.sleep(0.02 / (1 + k))
        return k

    assert list(map_in_threads(slow_at_first, range(12), n_threads)) == list(range(12))


def test_as_many_items_are_in_work_as_there_are_threads():
    both = threading.Barrier(2)
    assert sorted(map_in_threads(lambda _: both.wait(20), range(2), 2)) == [0, 1]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_is_raised_in_its_turn(n_threads):
    def fail_at_three(k):
        if k == 3:
            raise ValueError("three")
        return k

    results = map_in_threads(fail_at_three, range(9), n_threads)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


@pytest.mark.parametrize("end", ["error", "interrupt", "close"])
def test_nothing_goes_on_after_the_end(end):
    working = threading.Semaphore(0)
    finished = []

    def work(k):
        working.release()
        time.sleep(0.05)
        finished.append(k)
        return k

    def items():
        yield from range(3)
        if end == "interrupt":
            raise KeyboardInterrupt
        if end == "error":
            raise RuntimeError("the crystals cannot be read")
        yield from range(3, 100)

    results = map_in_threads(work, items(), 2)
    if end == "close":
        assert next(results) == 0
        results.close()
    else:
        with pytest.raises(KeyboardInterrupt if end == "interrupt" else RuntimeError):
            list(results)
    after = len(finished)
    assert after < 6
    time.sleep(0.15)
    assert len(finished) == after


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_starts_new_threads():
    assert list(map_in_threads(abs, range(4), 2)) == [0, 1, 2, 3]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if list(map_in_threads(abs, range(4), 2)) == [0, 1, 2, 3] else 1)
    for _ in range(200):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        pytest.fail("the forked process waits for threads that it does not have")
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("n", [0, 1, 5, 60, 412, 5000])
def test_parts_for_inference_are_even_and_limited(n):
    n_sites = np.random.default_rng(0).integers(1, 41, n)
    parts = split_by_sites(n_sites, inference_sites(n_sites, 1200))
    assert_array_equal(np.concatenate([np.arange(n)[part] for part in parts]), np.arange(n)) if n else None
    sizes = [int(n_sites[part].sum()) for part in parts]
    assert all(size <= 3 * 1200 + 40 for size in sizes)
    if n_sites.sum() > 3600:
        assert len(parts) >= 4
        assert max(sizes) - min(sizes) < 40 * len(parts)
    if n_sites.sum() <= 1200:
        assert len(parts) <= 1


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_next_item_is_computed_while_one_is_used(n_threads):
    done = threading.Semaphore(0)

    def square(k):
        done.release()
        return k * k

    squares = map_ahead(square, range(5), n_threads)
    assert next(squares) == 0
    if n_threads == 2:
        assert all(done.acquire(timeout=20) for _ in range(2)), "the second is computed before it is asked for"
    assert list(squares) == [1, 4, 9, 16]


def test_an_error_of_the_next_item_is_raised_in_its_turn():
    squares = map_ahead(lambda k: 1 // (2 - k), range(4), 2)
    assert [next(squares), next(squares)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(squares)


def test_n_jobs_of_none_uses_the_cores_that_no_other_worker_has(monkeypatch):
    monkeypatch.setattr("skdim._training.threads.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert resolve_threads(None) == 4, "more would wait for each other"
    assert (resolve_threads(3), resolve_threads(-1), resolve_threads(-2)) == (3, 8, 7)
    for limit, expected in (("2", 2), ("2,1", 2), ("1", 1), ("16", 8), ("", 8), ("many", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
        assert available_cores() == expected, limit
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    assert resolve_threads(None) == 1, "results depend on the number of torch's threads"


def test_workers_of_joblib_take_no_core_of_another(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    calls = [joblib.delayed(available_cores)() for _ in range(2)]
    assert joblib.Parallel(n_jobs=2, backend="threading")(calls) == [1, 1]
    assert joblib.Parallel(n_jobs=2)(calls) == [max(1, joblib.cpu_count() // 2)] * 2

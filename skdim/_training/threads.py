"""CPU threads of this process: how many, and whether torch or the compiled loops use them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial

import torch
from joblib import cpu_count

from ..nn.compiled import autograd as fused
from ..nn.compiled.helper_threads import Task, tasks
from .precision import single_precision

#: Default number of threads on machines with more cores: threads also wait for each other.
_DEFAULT_THREADS = 4


@contextlib.contextmanager
def torch_threads(n_threads):
    """Context manager: use this many CPU threads, in the compiled loops if they are available, else in torch.

    Within it torch computes in single precision.
    """
    before = torch.get_num_threads()
    in_torch = n_threads > 1 and not fused.supports(torch.zeros(0, dtype=torch.float32))
    torch.set_num_threads(n_threads if in_torch else 1)
    try:
        with single_precision(), fused.threads(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def map_in_threads(function, items, n_threads):
    """Yield ``function(item)`` of each item, in order, with ``n_threads`` items in work at a time."""
    if n_threads == 1:
        yield from map(function, items)
        return
    pool = _pool(os.getpid(), n_threads)
    waiting: deque[Future] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # after an error or an interrupt, nothing goes on behind the caller's back
        wait([future for future in waiting if not future.cancel()])


def map_ahead(function, items, n_threads):
    """Yield ``function(item)`` of each item, in order; with several threads, the next is computed meanwhile."""
    if n_threads == 1:
        yield from map(function, items)
        return
    ahead: Task | None = None
    with tasks(n_threads) as start:
        for item in items:
            previous, ahead = ahead, start(partial(function, item))
            if previous is not None:
                yield previous.result()
        if ahead is not None:
            yield ahead.result()


@lru_cache(maxsize=4)
def _pool(pid, n_threads):
    """Threads of this process, which wait without computing: a forked process has none of its parent's."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skdim-batches")


def resolve_threads(n_jobs):
    """Number of threads for ``n_jobs``: -1 all cores, -2 all but one; None the available ones, at most four.

    None is 1 without the compiled loops: results would depend on the number of torch's threads.
    """
    if n_jobs is None:
        compiled = fused.supports(torch.zeros(0, dtype=torch.float32))
        return min(_DEFAULT_THREADS, available_cores()) if compiled else 1
    return int(n_jobs) if n_jobs > 0 else max(1, cpu_count() + 1 + int(n_jobs))


def available_cores():
    """Number of cores that this call can use without taking them from other workers of a parallel computation.

    ``OMP_NUM_THREADS`` limits it, which joblib, dask and ray set for their worker processes. Otherwise it is 1 in
    child processes and outside the main thread, as others work at the same time.
    """
    if threading.current_thread() is not threading.main_thread():
        return 1
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if limit.isdecimal():
        return max(1, min(cpu_count(), int(limit)))
    return cpu_count() if multiprocessing.parent_process() is None else 1

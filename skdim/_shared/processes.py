"""Parallel work with joblib."""

from __future__ import annotations

import contextlib
import warnings

from joblib import Parallel
from joblib.parallel import get_active_backend


def in_processes(calls, n_jobs, *, ordered=True):
    """Run delayed calls in parallel; return their results.

    The results are a generator if the backend supports it, so that they can be written to disk and the progress bar
    can be updated while others are computed; ray and multiprocessing return a list.

    Parameters
    ----------
    calls : iterable of joblib.delayed calls
    n_jobs : int or None
        As in joblib.
    ordered : bool, default=True
        Whether results must be in the order of the calls; otherwise a generator yields them as they are completed.

    Returns
    -------
    generator or list
    """
    if get_active_backend()[0].supports_return_generator:
        return _results(calls, n_jobs, "generator" if ordered else "generator_unordered")
    with _without_restart_warning():
        return Parallel(n_jobs=n_jobs)(calls)


def _results(calls, n_jobs, return_as):
    with _without_restart_warning():
        yield from Parallel(n_jobs=n_jobs, return_as=return_as)(calls)


@contextlib.contextmanager
def _without_restart_warning():
    """Context manager: ignore loky's warning that it has replaced a worker.

    loky takes a worker for leaking, and replaces it after its task, when its memory has grown by 300 MB since its first
    task. Importing torch and numba in a later task is enough. No result is lost.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
        yield

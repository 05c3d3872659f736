"""Parallel work with joblib."""

from __future__ import annotations

from joblib import Parallel
from joblib.parallel import get_active_backend


def in_processes(calls, n_jobs):
    """Run delayed calls in parallel; return their results in order.

    The results are a generator if the backend supports it, so that they can be written to disk and the progress bar
    can be updated while others are computed; ray and multiprocessing return a list.

    Parameters
    ----------
    calls : iterable of joblib.delayed calls
    n_jobs : int or None
        As in joblib.

    Returns
    -------
    generator or list
    """
    is_generator = get_active_backend()[0].supports_return_generator
    return Parallel(n_jobs=n_jobs, return_as="generator" if is_generator else "list")(calls)

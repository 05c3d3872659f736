"""Work in several processes, by joblib."""

from __future__ import annotations

from joblib import Parallel
from joblib.parallel import get_active_backend


def in_processes(calls, n_jobs):
    """Results of delayed calls, in order: one by one as they come, where the backend can.

    One by one the progress bar and the disk want them; ray and multiprocessing only return all at once.
    """
    one_by_one = get_active_backend()[0].supports_return_generator
    return Parallel(n_jobs=n_jobs, return_as="generator" if one_by_one else "list")(calls)

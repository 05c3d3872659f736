"""Catch warnings of other libraries, in one thread at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings

_LOCK = threading.RLock()


@contextlib.contextmanager
def caught_warnings(action):
    """Context manager that catches all warnings.

    The warning filters are global: two threads that change them at the same time could leave them changed.

    Parameters
    ----------
    action : {"always", "ignore"}

    Yields
    ------
    list of warnings.WarningMessage
        Always empty if ``action`` is "ignore".
    """
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        yield caught


def _make_lock():
    """Make a new lock after a fork: the child could inherit it locked by a thread that does not exist in the child."""
    global _LOCK
    _LOCK = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_lock)

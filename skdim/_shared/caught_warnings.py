"""Warnings of other libraries, caught by one thread at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings

_LOCK = threading.RLock()


@contextlib.contextmanager
def caught_warnings(action):
    """Catch all warnings of the block.

    Python has one list of filters for all threads: two that change it at the same time leave it changed for good.

    Parameters
    ----------
    action : {"always", "ignore"}

    Yields
    ------
    list of warnings.WarningMessage
        Empty with "ignore".
    """
    with _LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        yield caught


def _make_lock():
    """A fork may copy a lock that another thread holds, which nobody would ever release."""
    global _LOCK
    _LOCK = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_lock)

"""Locks on open files, between processes."""

from __future__ import annotations

import contextlib

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # a module, or none


class LockedError(RuntimeError):
    """Another process, or another open file of this process, holds the lock."""


def lock_file(file, message="", *, wait=False):
    """Lock an open file until :func:`unlock_file`, or until the process ends, however it ends.

    Parameters
    ----------
    file : file object
    message : str, default=""
        Of the error.
    wait : bool, default=False
        Wait for the lock instead of raising.

    Returns
    -------
    bool
        False if the operating system (Windows) or the file system has no such locks.

    Raises
    ------
    LockedError
        If the file is locked and ``wait`` is False.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise LockedError(message) from None
    except OSError:
        return False
    return True


def unlock_file(file):
    """Release the lock: closing the file would not, while a forked child still has it open."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_UN)

"""Locks on open files, between processes, by filelock: flock on Unix, LockFileEx on Windows.

On Windows, other processes cannot read the first byte of a locked file either. Network file systems differ: NFS needs
version 4 or a lock daemon, and locks nothing without; then nothing detects that two machines write to one file.
"""

from __future__ import annotations

import contextlib


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
        False if the file system has no such locks.

    Raises
    ------
    LockedError
        If the file is locked and ``wait`` is False.
    """
    from filelock import lock_descriptor  # a tenth of a second, when a first file is locked

    try:
        is_locked = lock_descriptor(file.fileno(), blocking=wait)
    except OSError:
        return False
    if not is_locked:
        raise LockedError(message)
    return True


def unlock_file(file):
    """Release the lock: closing the file would not, while a forked child still has it open."""
    from filelock import unlock_descriptor

    with contextlib.suppress(OSError):  # a file system without locks
        unlock_descriptor(file.fileno())

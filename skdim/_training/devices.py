"""The device that a net works on, and turns of worker processes on one GPU."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
import warnings
from pathlib import Path

import torch

from .._shared.locks import LockedError, lock_file, unlock_file
from .ranks import LAUNCHED, launched_state

#: Seconds between two attempts to lock a GPU.
_PAUSE = 0.05
#: The GPU that this thread has locked.
_turn = threading.local()


def resolve_device(device):
    """Device to train on: "auto" is CUDA if available, "accelerate" the device that the launcher assigned."""
    if device == LAUNCHED:
        return launched_state().device.type  # the launcher has made its number the current device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


@contextlib.contextmanager
def device_turn(device):
    """Context manager: the device to work on.

    It is ``device``, except in worker processes (of joblib, dask, ...) that use CUDA: networks of several processes on
    one GPU could run out of memory. Each worker locks a GPU that no other worker uses; if all are in use, it warns and
    waits. With a number ("cuda:1") it uses that GPU only.

    Parameters
    ----------
    device : str

    Yields
    ------
    str
    """
    locked = getattr(_turn, "device", None)
    numbers = [] if locked else _shared_devices(device)
    if not numbers:
        # Turns nest: inside one, this thread does not wait for another.
        yield locked if locked and device == "cuda" else device
        return
    with _first_free(numbers) as number:
        _turn.device = f"cuda:{number}"
        try:
            yield _turn.device
        finally:
            del _turn.device


def _shared_devices(device):
    """Numbers of the GPUs that this process shares with other workers; empty if it is not a worker using CUDA."""
    if multiprocessing.parent_process() is None or torch.device(device).type != "cuda":
        return []
    number = torch.device(device).index
    return list(range(torch.cuda.device_count())) if number is None else [number]


@contextlib.contextmanager
def _first_free(numbers):
    """Context manager: number of a GPU that no other process uses, locked; wait for one if necessary."""
    with contextlib.ExitStack() as files:
        lock_files = {number: files.enter_context(open(_lock_path(number), "ab")) for number in numbers}
        number = _wait_for_one(lock_files)
        try:
            yield number
        finally:
            unlock_file(lock_files[number])


def _wait_for_one(lock_files):
    """Lock the first file that is free, and return the number of its GPU."""
    waited = False
    while True:
        for number, file in lock_files.items():
            with contextlib.suppress(LockedError):
                lock_file(file)
                return number
        if not waited:
            which = "the GPU" if len(lock_files) == 1 else f"all {len(lock_files)} GPUs"
            warnings.warn(
                f"other worker processes use {which}: this one waits for its turn. Set n_jobs to at most the number of "
                'GPUs, or device="cpu", to avoid waiting',
                stacklevel=7,
            )
        waited = True
        time.sleep(_PAUSE)


def _lock_path(number):
    """Lock file of a GPU, named as in CUDA_VISIBLE_DEVICES: workers can number the same GPU differently."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else []
    name = names[number].strip() if number < len(names) else number
    # One file per user: other users could not open it.
    user = getattr(os, "getuid", int)()
    return Path(tempfile.gettempdir()) / f"skdim-{user}-cuda-{name}.lock"

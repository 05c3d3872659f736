"""Which device a net works on, and whose turn it is where several worker processes would use one GPU."""

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

#: Seconds between two looks at whether a device has become free.
_PAUSE = 0.05
#: The device that this thread has its turn on.
_ours = threading.local()


def resolve_device(device):
    """Device to train on: "auto" takes a CUDA device where there is one, "accelerate" what a launcher gave."""
    if device == LAUNCHED:
        return launched_state().device.type  # its number is the current device's
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


@contextlib.contextmanager
def device_turn(device):
    """The device to work on inside the block.

    It is ``device``, but for worker processes (of joblib, dask, ...) that work on CUDA: networks of several processes
    on one GPU could run out of its memory. So each worker takes a GPU that no other one works on, and waits with a
    warning where there is none. A device with a number ("cuda:1") is the only one that is taken.

    Parameters
    ----------
    device : str

    Yields
    ------
    str
    """
    held = getattr(_ours, "device", None)
    numbers = [] if held else _shared_devices(device)
    if not numbers:
        # Inside of a turn there is no other to wait for.
        yield held if held and device == "cuda" else device
        return
    with _first_free(numbers) as number:
        _ours.device = f"cuda:{number}"
        try:
            yield _ours.device
        finally:
            del _ours.device


def _shared_devices(device):
    """Numbers of the GPUs among which this process has to take turns with others; none where it need not."""
    if multiprocessing.parent_process() is None or torch.device(device).type != "cuda":
        return []
    number = torch.device(device).index
    return list(range(torch.cuda.device_count())) if number is None else [number]


@contextlib.contextmanager
def _first_free(numbers):
    """Wait for a GPU that no other process works on, and lock it for the block."""
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
            which = "the one GPU" if len(lock_files) == 1 else f"all {len(lock_files)} GPUs"
            warnings.warn(
                f"other worker processes use {which}: this one waits for its turn. With n_jobs no larger than the "
                'number of GPUs none has to wait; device="cpu" needs no turns',
                stacklevel=7,
            )
        waited = True
        time.sleep(_PAUSE)


def _lock_path(number):
    """File whose lock stands for a GPU. CUDA numbers those that it is shown, so workers may know one by two numbers."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = shown.split(",") if shown else []
    name = names[number].strip() if number < len(names) else number
    # One file a user: nobody could open another's.
    user = getattr(os, "getuid", int)()
    return Path(tempfile.gettempdir()) / f"skdim-{user}-cuda-{name}.lock"

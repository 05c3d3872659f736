"""Loops over the rows or crystals of a batch, shared between threads.

They are not torch's threads: those spin while they wait for the next operation, and would slow these down. Results do
not depend on the number of threads: the sum of a row belongs to one thread; sums over the whole batch, the gradients of
weights, are made of parts that depend only on the batch, and are added in order.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import wait

import numpy as np
import torch
from torch import Tensor

from .helper_threads import helpers

#: Sums over a batch have at most this many parts, each of at least so many rows: a part costs as much as some rows.
_MAX_PARTS, _PART = 4, 1000
_local = threading.local()


@contextlib.contextmanager
def threads(n: int):
    """Within the block, loops called from this thread use ``n`` threads."""
    before = n_threads()
    _local.n = n
    try:
        yield
    finally:
        _local.n = before


def n_threads() -> int:
    """Number of threads used by loops that are called from this thread."""
    return getattr(_local, "n", 1)


def array(value):
    """A tensor as the array that shares its memory; anything else as it is."""
    if isinstance(value, Tensor):
        return value.detach().numpy() if value.requires_grad else value.numpy()
    return value


def arrays(*arguments):
    """Arguments of a loop, with arrays instead of tensors."""
    return [array(each) for each in arguments]


def on_rows(loop, n, *arguments):
    """Run a loop over n independent rows."""
    cuts = _cuts(n, _threads_for(n))
    in_threads(loop, cuts, [arrays(*arguments)] * (len(cuts) - 1))


def on_row_parts(loop, n, *arguments, shapes):
    """Run a loop over n rows, which adds to arrays of these shapes at the end of its arguments; these are returned."""
    cuts = _cuts(n, _parts_for(n))
    arguments = arrays(*arguments)
    sums = [[np.zeros(shape, np.float32) for shape in shapes] for _ in cuts[1:]]
    in_threads(loop, cuts, [[*arguments, *part] for part in sums])
    return total(sums)


def on_crystals(loop, batch, *arguments, shared=()):
    """Run a loop over the site classes of a batch.

    ``shared`` are tensors to whose gradients all crystals contribute; these are returned.
    """
    n = (_parts_for if shared else _threads_for)(len(batch.row))
    cuts = [0, len(batch.numbers)]
    if n > 1:
        pairs = batch.pair_offsets[batch.class_offsets]
        targets = torch.arange(1, n) * (len(batch.row) / n)
        crystals = torch.searchsorted(pairs, targets.to(pairs.dtype))
        cuts[1:1] = batch.class_offsets[crystals].tolist()
    arguments = arrays(*arguments)
    sums = [[torch.zeros_like(tensor) for tensor in shared] for _ in range(n)]
    in_threads(loop, cuts, [[*arguments, *arrays(*part)] for part in sums])
    return total(sums)


def total(sums):
    """Sums of the parts of each of several tensors, in order."""
    return sums[0] if len(sums) == 1 else [sum(parts[1:], parts[0]) for parts in zip(*sums, strict=True)]


def in_threads(function, cuts, arguments):
    """Call a function for each interval between cuts, in as many threads as allowed; one of them is this thread."""
    if len(arguments) == 1:
        function(*cuts, *arguments[0])
        return
    calls = deque(zip(cuts[:-1], cuts[1:], arguments, strict=True))

    def run():
        while True:
            try:
                first, last, args = calls.popleft()
            except IndexError:
                return
            function(first, last, *args)

    n_helpers = min(n_threads(), len(calls)) - 1
    pending = [helpers(os.getpid(), n_threads() - 1).submit(run) for _ in range(n_helpers)]
    try:
        run()
    finally:
        # Helpers that are busy with something else are not waited for.
        taken = [job for job in pending if not job.cancel()]
        wait(taken)
    for job in taken:
        job.result()


def _threads_for(n):
    # Waking a thread costs as much as some hundred rows.
    return max(1, min(n_threads(), n // 500))


def _parts_for(n):
    return max(1, min(_MAX_PARTS, n // _PART))


def _cuts(n, n_parts):
    """Where n rows are cut into parts."""
    return [0, n] if n_parts == 1 else [round(n * k / n_parts) for k in range(n_parts + 1)]

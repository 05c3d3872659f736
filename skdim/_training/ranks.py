"""Pre-training shared by several processes, started by a launcher: communication between them."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import distributed

from ..nn.shared_batch import Share, send_weights, sum_gradients

#: Value of the parameter ``device`` that uses the launched processes.
LAUNCHED = "accelerate"


class Ranks:
    """The launched processes, seen from one of them.

    Parameters
    ----------
    rank, n_ranks : int
        Number of this process, and number of processes.
    """

    def __init__(self, rank, n_ranks):
        self.rank, self.n_ranks = rank, n_ranks

    @property
    def is_first(self):
        """Whether this is the process that reports and writes files."""
        return self.rank == 0

    def share(self, batch, device):
        """The part of a batch that this process computes, on a device."""
        return Share(batch, self.rank, self.n_ranks, device)

    sum_gradients = staticmethod(sum_gradients)
    send_weights = staticmethod(send_weights)

    def call_on_first(self, function):
        """Call ``function`` in the first process and return its result in all; an error is raised in all."""
        answer: list[Any] = [None, None]
        if self.is_first:
            try:
                answer[0] = function()
            except Exception as error:
                answer[1] = error
        distributed.broadcast_object_list(answer)
        value, failure = answer
        if failure is not None:
            raise failure
        return value

    def gather(self, value):
        """List of the values of all processes, by rank, in all processes."""
        values = [None] * self.n_ranks
        distributed.all_gather_object(values, value)
        return values


def ranks_of(device):
    """The launched processes if ``device="accelerate"`` and there are several, else None."""
    if device != LAUNCHED:
        return None
    state = launched_state()
    return Ranks(state.process_index, state.num_processes) if state.num_processes > 1 else None


def launched_state():
    """accelerate's state of this process: its device and its rank.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    RuntimeError
        If the script has made a state of one process, although several were launched.
    """
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        raise ImportError('device="accelerate" needs accelerate: pip install "skdim-crystals[accelerate]"') from error
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available())
    n_launched = int(os.environ.get("WORLD_SIZE", 1))
    if state.num_processes == 1 < n_launched:
        # accelerate keeps the first state that is made. On CPUs, one without cpu=True knows no other processes.
        raise RuntimeError(
            f"{n_launched} processes were launched, but the script has made an accelerate state of one process, and "
            "each would train alone: use PartialState(cpu=True), or make the state after fit"
        )
    if state.device.index is not None and state.device.type == "cuda":
        # The current device is a property of a thread, and fit may run in another one than made the state. NCCL uses
        # the current device for Python objects.
        torch.cuda.set_device(state.device)
    return state

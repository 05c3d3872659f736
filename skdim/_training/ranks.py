"""Pre-training shared by several processes, which a launcher has started: what they agree upon."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from ..nn.shared_batch import Share, send_weights, sum_gradients

#: The value of the parameter ``device`` that asks for it.
LAUNCHED = "accelerate"


class Ranks:
    """The processes of a launch, seen from one of them.

    Parameters
    ----------
    rank, n_ranks : int
        Which process this is, of how many.
    """

    def __init__(self, rank, n_ranks):
        self.rank, self.n_ranks = rank, n_ranks

    @property
    def first(self):
        """Whether this is the process that reports and writes."""
        return self.rank == 0

    def share(self, batch, device):
        """This process's share of a batch, on a device."""
        return Share(batch, self.rank, self.n_ranks, device)

    sum_gradients = staticmethod(sum_gradients)
    send_weights = staticmethod(send_weights)

    def of_first(self, function):
        """What ``function()`` returns in the first process, in all; an error there is an error in all."""
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = function()
            except Exception as error:
                answer[1] = error
        distributed.broadcast_object_list(answer)
        value, failure = answer
        if failure is not None:
            raise failure
        return value

    def all_of(self, value):
        """The values of all processes, in all, by rank."""
        values = [None] * self.n_ranks
        distributed.all_gather_object(values, value)
        return values


def ranks_of(device):
    """The processes that train together where ``device="accelerate"`` asks for it and a launcher has started more than
    one; else None."""
    if device != LAUNCHED:
        return None
    state = launched_state()
    return Ranks(state.process_index, state.num_processes) if state.num_processes > 1 else None


def launched_state():
    """accelerate's view of this process: its device, its rank.

    Raises
    ------
    ImportError
        If accelerate is not installed.
    """
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        raise ImportError('device="accelerate" needs accelerate: pip install "skdim-crystals[accelerate]"') from error
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available())

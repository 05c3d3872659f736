"""A batch shared by several threads, or by several processes.

Threads of one process compute different losses. Each of several processes computes some of the crystals, and gathers
what losses need of the others: it holds the whole batch and draws the same random numbers for it, so draws do not
depend on the number of processes. Vectors of other crystals are gathered with their gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from .batch import Batch
from .compiled import autograd
from .compiled.helper_threads import tasks


class Whole:
    """A batch computed by one process.

    Attributes
    ----------
    batch : Batch
        All crystals.
    part : Batch
        Crystals that this process computes.
    crystals, classes, pairs : slice
        Positions of these crystals, their site classes and their pairs in the whole batch.
    """

    def __init__(self, batch: Batch):
        self.batch = self.part = batch
        self.crystals, self.classes, self.pairs = (
            slice(0, n) for n in (len(batch), len(batch.numbers), len(batch.distance))
        )

    def tasks(self):
        """Context manager: a function that starts a call, in another thread if the compiled loops may use several."""
        return tasks(autograd.n_threads() if autograd.supports(self.batch.distance) else 1)

    def gather(self, values: Tensor, part: slice, total: int) -> Tensor:
        """Rows of all processes, (total, ...), where this process has the rows ``part``."""
        return values

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes; its gradient is that of this process's summand, as gradients are summed later."""
        return values


class Share(Whole):
    """The share of one process, by its rank: consecutive crystals with about as many pairs as other shares.

    Parameters
    ----------
    batch : Batch
        On the CPU.
    rank, n_ranks : int
    device : str or torch.device
        Where the batch is moved to.
    """

    def __init__(self, batch: Batch, rank: int, n_ranks: int, device="cpu"):
        ends = batch.pair_offsets[batch.class_offsets]
        even = torch.arange(rank, rank + 2) * ends[-1]
        bounds = torch.searchsorted(ends * n_ranks, even)
        (k, m), (c, d) = bounds.tolist(), batch.class_offsets[bounds].tolist()
        p, q = batch.pair_offsets[[c, d]].tolist()
        self.crystals, self.classes, self.pairs = slice(k, m), slice(c, d), slice(p, q)
        self.batch = batch = batch.to(device)
        self.part = Batch(
            site_inputs=batch.site_inputs[c:d],
            numbers=batch.numbers[c:d],
            multiplicity=batch.multiplicity[c:d],
            crystal=batch.crystal[c:d] - k,
            class_offsets=batch.class_offsets[k : m + 1] - c,
            pair_offsets=batch.pair_offsets[c : d + 1] - p,
            row=batch.row[p:q] - c,
            neighbour=batch.neighbour[p:q] - c,
            distance=batch.distance[p:q],
            count=batch.count[p:q],
            properties=None if batch.properties is None else batch.properties[k:m],
        )

    def tasks(self):
        return tasks(1)  # processes must communicate in the same order

    def gather(self, values, part, total):
        return _Gather.apply(values, part, total)

    def total(self, values):
        return _Total.apply(values)


class _Gather(torch.autograd.Function):
    """Rows of all processes in one tensor; the gradient of a process's rows is summed over all processes.

    Computed as a sum of tensors with zeros in the rows of others: shares differ in length, and adding zeros is exact.
    """

    @staticmethod
    def forward(ctx, values, part, total):
        ctx.part = part
        rows = values.new_zeros((total, *values.shape[1:]))
        rows[part] = values
        distributed.all_reduce(rows)
        return rows

    @staticmethod
    def backward(ctx, grad):
        grad = grad.contiguous().clone()
        distributed.all_reduce(grad)
        return grad[ctx.part], None, None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, grad):
        return grad


def sum_gradients(module: torch.nn.Module) -> None:
    """Sum the gradients over all processes, in each of them."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    # A process without crystals has no gradients; a weight without one in any process must not decay.
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    n_gradients = gradients[0].new_tensor([p.grad is not None for p in parameters])
    flat = torch.cat([n_gradients, *(gradient.reshape(-1) for gradient in gradients)])
    distributed.all_reduce(flat)
    n_gradients, *sums = flat.split([len(parameters), *(p.numel() for p in parameters)])
    for parameter, n, total in zip(parameters, n_gradients.tolist(), sums, strict=True):
        parameter.grad = total.view_as(parameter) if n else None


def send_weights(module: torch.nn.Module) -> None:
    """Copy the weights and buffers of the first process to all others."""
    for value in module.state_dict().values():
        distributed.broadcast(value, src=0)


def rows_of(values: Tensor | None, part: slice) -> Tensor | None:
    """The rows of this process, if there are values."""
    return None if values is None else values[part]


def mean_over_sites(share: Whole, per_site: Tensor) -> Tensor:
    """This process's share of the mean over each crystal's sites, then over crystals."""
    return (share.part.site_share * per_site).sum() / len(share.batch)

"""The compiled loops of :mod:`skdim.nn.compiled.pair_loops` as functions that torch can differentiate.

They stand in for the same formulas in torch where numba is installed and the numbers are float32 on the CPU; networks
ask :func:`fusible`. Threads (:func:`threads`) share a batch crystal by crystal, as no pair reaches beyond its own. They
are not torch's: its threads wait in a loop for the next operation, and would hold up these.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

#: Set to 1, this variable switches the compiled loops off.
_OFF = "SKDIM_NO_NUMBA"
#: Rows of the pairs' term in work at a time: they stay in the cache.
_CHUNK = 512
_local = threading.local()


@cache
def _installed():
    return find_spec("numba") is not None


def fusible(values: Tensor) -> bool:
    """Whether the compiled loops can take these numbers."""
    return (
        _installed() and values.dtype == torch.float32 and values.device.type == "cpu" and os.environ.get(_OFF) != "1"
    )


@contextlib.contextmanager
def threads(n: int):
    """Let the loops that this thread calls use so many threads, inside the block."""
    before = n_threads()
    _local.n = n
    try:
        yield
    finally:
        _local.n = before


def n_threads() -> int:
    """Threads that the loops called from this thread use."""
    return getattr(_local, "n", 1)


def dense(x: Tensor) -> Tensor:
    """Mish and layer normalisation of rows (n, width)."""
    return _Dense.apply(x)


def distinct(offsets: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of each crystal without repetition (U,), and which of them each pair has (P,)."""
    values, which = torch.empty_like(distance), torch.empty(len(distance), dtype=torch.int64)
    n = _kernel("distinct")(*map(_array, (offsets, distance.contiguous(), values, which)))
    return values[:n], which


def pair_term(distance: Tensor, weight: Tensor, bias: Tensor, pair: Tensor) -> Tensor:
    """Lifted distances (U,) through a linear layer: dense(distance weight + bias) pair', (U, hidden)."""
    return _PairTerm.apply(distance, weight, bias, pair)


def attend(centre: Tensor, near: Tensor, far: Tensor, which: Tensor, weight: Tensor, batch) -> tuple[Tensor, Tensor]:
    """Weighted sums of normalised values (H, C, V), and attention (P, H): see ``pair_loops.attend``.

    No two crystals may share a row of ``far``. No gradient goes through the attention that is returned.
    """
    return _Attend.apply(centre, near, far, weight, which, batch)


def scores(near: Tensor, step: Tensor, queries: Tensor, batch) -> Tensor:
    """Scores (n, P) of each pair with n queries (n, C, W) of its row: see ``pair_loops.scores``."""
    return _Scores.apply(near, step, queries, batch)


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x = x.contiguous()
        ctx.save_for_backward(x)
        out = torch.empty_like(x)
        _on_rows("dense", len(x), _array(x), _array(out))
        return out

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        _on_rows("dense_gradient", len(x), _array(x), _array(grad.contiguous()), _array(out))
        return out


class _PairTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance, weight, bias, pair):
        ctx.save_for_backward(distance, weight, bias, pair)
        out = distance.new_empty(len(distance), len(pair))

        def part(first, last):
            with torch.no_grad():  # which threads do not inherit
                for rows in _chunks(first, last):
                    torch.mm(_lift(distance[rows], weight, bias)[1], pair.T, out=out[rows])

        _share(part, _cuts(len(distance)), [()] * (len(_cuts(len(distance))) - 1))
        return out

    @staticmethod
    def backward(ctx, grad):
        distance, weight, bias, pair = ctx.saved_tensors
        cuts = _cuts(len(distance))
        sums = [[torch.zeros_like(each) for each in (weight, bias, pair)] for _ in cuts[1:]]

        def part(first, last, to_weight, to_bias, to_pair):
            with torch.no_grad():
                for rows in _chunks(first, last):
                    x, y = _lift(distance[rows], weight, bias)
                    to_pair.addmm_(grad[rows].T, y)
                    back = grad[rows] @ pair
                    _kernel("dense_gradient")(0, len(x), _array(x), _array(back), _array(y))
                    to_bias += y.sum(dim=0)
                    to_weight.addmm_(y.T, distance[rows, None])

        _share(part, cuts, sums)
        return None, *(sum(parts[1:], parts[0]) for parts in zip(*sums, strict=True))


def _lift(distance, weight, bias):
    """Lifted distances before and after activation and normalisation."""
    x = torch.addmm(bias, distance[:, None], weight.T)
    y = torch.empty_like(x)
    _kernel("dense")(0, len(x), _array(x), _array(y))
    return x, y


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, weight, which, batch):
        centre, near, far, weight = (part.contiguous() for part in (centre, near, far, weight))
        heads, wide = weight.shape
        summed = centre.new_empty(heads, len(centre), centre.shape[1] - wide)
        attention = centre.new_empty(len(batch.row), heads)
        inputs = [_array(part) for part in (centre, near, far, batch.pair_offsets, batch.neighbour, which)]
        _on_crystals(
            "attend", batch, *inputs, _array(torch.log(batch.count)), _array(weight), _array(summed), _array(attention)
        )
        ctx.save_for_backward(centre, near, far, weight, which, attention)
        ctx.batch = batch
        ctx.mark_non_differentiable(attention)
        return summed, attention

    @staticmethod
    def backward(ctx, grad, _):
        centre, near, far, weight, which, attention = ctx.saved_tensors
        batch = ctx.batch
        inputs = (centre, near, far, batch.pair_offsets, batch.neighbour, which, weight, attention, grad.contiguous())
        to_centre, to_near, to_far = (torch.zeros_like(part) for part in (centre, near, far))
        to_weight = _on_crystals(
            "attend_gradient", batch, *map(_array, (*inputs, to_centre, to_near, to_far)), shared=weight
        )
        return to_centre, to_near, to_far, to_weight, None, None


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, near, step, queries, batch):
        near, step, queries = (part.contiguous() for part in (near, step, queries))
        out = near.new_empty(len(queries), len(batch.row))
        pairs = (batch.distance, batch.pair_offsets, batch.neighbour)
        _on_crystals("scores", batch, *map(_array, (near, step, *pairs, queries, out)))
        ctx.save_for_backward(near, step, queries)
        ctx.batch = batch
        return out

    @staticmethod
    def backward(ctx, grad):
        near, step, queries = ctx.saved_tensors
        batch = ctx.batch
        pairs = (batch.distance, batch.pair_offsets, batch.neighbour)
        to_near, to_queries = torch.zeros_like(near), torch.zeros_like(queries)
        inputs = map(_array, (near, step, *pairs, queries, grad.contiguous(), to_near, to_queries))
        return to_near, _on_crystals("scores_gradient", batch, *inputs, shared=step), to_queries, None


def _array(tensor):
    return tensor.detach().numpy()


def _kernel(name):
    from . import pair_loops as kernels

    return getattr(kernels, name)


def _on_rows(name, n, *arguments):
    """A loop over rows that know nothing of each other."""
    cuts = _cuts(n)
    _share(_kernel(name), cuts, [arguments] * (len(cuts) - 1))


def _on_crystals(name, batch, *arguments, shared=None):
    """A loop over the site classes of a batch.

    ``shared`` is a tensor that all crystals have a gradient for: it is added up by thread, and returned.
    """
    n = _n_threads(len(batch.row))
    pairs = batch.pair_offsets[batch.class_offsets]
    aims = torch.arange(1, n) * (len(batch.row) / n)
    crystals = torch.searchsorted(pairs, aims.to(pairs.dtype))
    cuts = [0, *batch.class_offsets[crystals].tolist(), len(batch.numbers)]
    if shared is None:
        return _share(_kernel(name), cuts, [arguments] * n)
    parts = torch.zeros(n, *shared.shape)
    _share(_kernel(name), cuts, [(*arguments, _array(part)) for part in parts])
    return parts.sum(dim=0)


def _share(function, cuts, arguments):
    """Call a function from cut to cut, each in a thread of its own; the last one in this."""
    *others, mine = zip(cuts[:-1], cuts[1:], arguments, strict=True)
    waiting = []
    if others:
        pool = _pool(os.getpid(), len(others))
        waiting = [pool.submit(function, first, last, *own) for first, last, own in others]
    first, last, own = mine
    function(first, last, *own)
    for job in waiting:
        job.result()


def _n_threads(n):
    # Waking a thread costs as much as some hundred rows.
    return max(1, min(n_threads(), n // 500))


def _cuts(n):
    """Where n rows are cut for the threads."""
    return [round(n * k / _n_threads(n)) for k in range(_n_threads(n) + 1)]


def _chunks(first, last):
    return (slice(start, min(start + _CHUNK, last)) for start in range(first, last, _CHUNK))


@lru_cache(maxsize=4)
def _pool(pid, n_threads):
    """Threads of this process: one that was forked has none of its parent's."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skdim")

"""The operations of :mod:`skdim.nn.operations` by the compiled loops of :mod:`skdim.nn.compiled.pair_loops`.

For float32 on the CPU, where numba can be imported (:func:`supports`). Threads (:func:`threads`) share a batch crystal
by crystal, as no pair reaches beyond its crystal. They are not torch's threads: those spin while they wait for the next
operation, and would slow these down.

Results do not depend on the number of threads. The sum of a row belongs to one thread; sums over the whole batch, the
gradients of weights, are made of parts that depend only on the batch, and are added in order.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache

import torch
from torch import Tensor

#: Environment variable that switches the compiled loops off when set to 1.
_OFF = "SKDIM_NO_NUMBA"
#: Rows of the distance term processed at a time, so that they stay in the cache.
_CHUNK = 512
#: Sums over a batch have at most this many parts, each of at least so many rows: a part costs as much as some rows.
_MAX_PARTS, _PART = 4, 1000
_local = threading.local()


@cache
def _loops():
    """The module of the loops; None, with a warning, if numba cannot be imported."""
    try:
        import numba  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: its library cannot be loaded
        warnings.warn(
            f"numba cannot be imported ({error}), and skdim computes with torch alone: on one core, pre-training is "
            f"about half as fast, embedding a third. Install numba, or set {_OFF}=1 to silence this warning.",
            stacklevel=2,
        )
        return None
    from . import pair_loops

    return pair_loops


def supports(values: Tensor) -> bool:
    """Whether the compiled loops can process these values."""
    return (
        values.dtype == torch.float32
        and values.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and os.environ.get(_OFF) != "1"
        and _loops() is not None
    )


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


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    return _Normalize.apply(x, activation == "relu")


def distinct_distances(batch) -> tuple[Tensor, Tensor]:
    offsets, distance = batch.pair_offsets[batch.class_offsets], batch.distance.contiguous()
    values, which = torch.empty_like(distance), torch.empty(len(distance), dtype=torch.int64)
    n = _loop("distinct_distances")(*map(_array, (offsets, distance, values, which)))
    return values[:n], which


def distance_term(
    distance: Tensor, weight: Tensor, bias: Tensor, pair_weight: Tensor, activation: str = "mish"
) -> Tensor:
    return _DistanceTerm.apply(distance, weight, bias, pair_weight, activation == "relu")


def attend(centre, near, far, which, logit_weight, batch, log_count, activation="mish") -> tuple[Tensor, Tensor]:
    return _Attend.apply(centre, near, far, logit_weight, which, batch, log_count, activation == "relu")


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    return _PairHidden.apply(centre, near, far, which, batch, activation == "relu")


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    return _PairScores.apply(near, step, queries, batch, activation == "relu", normalized)


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, relu):
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.relu = relu
        out = torch.empty_like(x)
        _on_rows("normalize", len(x), _array(x), relu, _array(out))
        return out

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        _on_rows("normalize_gradient", len(x), _array(x), _array(grad.contiguous()), ctx.relu, _array(out))
        return out, None


class _DistanceTerm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance, weight, bias, pair_weight, relu):
        ctx.save_for_backward(distance, weight, bias, pair_weight)
        ctx.relu = relu
        out = distance.new_empty(len(distance), len(pair_weight))

        def part(first, last):
            with torch.no_grad():  # which threads do not inherit
                for rows in _chunks(first, last):
                    torch.mm(_lift(distance[rows], weight, bias, relu)[1], pair_weight.T, out=out[rows])

        cuts = _chunk_cuts(len(distance))
        _in_threads(part, cuts, [()] * (len(cuts) - 1))
        return out

    @staticmethod
    def backward(ctx, grad):
        distance, weight, bias, pair_weight = ctx.saved_tensors
        cuts = _chunk_cuts(len(distance))
        sums = [[torch.zeros_like(each) for each in (weight, bias, pair_weight)] for _ in cuts[1:]]

        def part(first, last, to_weight, to_bias, to_pair_weight):
            with torch.no_grad():
                for rows in _chunks(first, last):
                    x, y = _lift(distance[rows], weight, bias, ctx.relu)
                    to_pair_weight.addmm_(grad[rows].T, y)
                    back = grad[rows] @ pair_weight
                    _loop("normalize_gradient")(0, len(x), _array(x), _array(back), ctx.relu, _array(y))
                    to_bias += y.sum(dim=0)
                    to_weight.addmm_(y.T, distance[rows, None])

        _in_threads(part, cuts, sums)
        return None, *(sum(parts[1:], parts[0]) for parts in zip(*sums, strict=True)), None


def _lift(distance, weight, bias, relu):
    """Lifted distances before and after activation and normalization."""
    x = torch.addmm(bias, distance[:, None], weight.T)
    y = torch.empty_like(x)
    _loop("normalize")(0, len(x), _array(x), relu, _array(y))
    return x, y


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, weight, which, batch, log_count, relu):
        centre, near, far, weight = (part.contiguous() for part in (centre, near, far, weight))
        heads, wide = weight.shape
        summed = centre.new_empty(heads, len(centre), centre.shape[1] - wide)
        attention = centre.new_empty(len(batch.row), heads)
        inputs = [_array(part) for part in (centre, near, far, batch.pair_offsets, batch.neighbour, which)]
        _on_crystals("attend", batch, *inputs, relu, *map(_array, (log_count, weight, summed, attention)))
        ctx.save_for_backward(centre, near, far, weight, which, attention)
        ctx.batch, ctx.relu = batch, relu
        ctx.mark_non_differentiable(attention)
        return summed, attention

    @staticmethod
    def backward(ctx, grad, _):
        centre, near, far, weight, which, attention = ctx.saved_tensors
        batch = ctx.batch
        inputs = map(_array, (centre, near, far, batch.pair_offsets, batch.neighbour, which))
        to_centre, to_near, to_far = (torch.zeros_like(part) for part in (centre, near, far))
        others = map(_array, (weight, attention, grad.contiguous(), to_centre, to_near, to_far))
        (to_weight,) = _on_crystals("attend_gradient", batch, *inputs, ctx.relu, *others, shared=(weight,))
        return to_centre, to_near, to_far, to_weight, None, None, None, None


class _PairHidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, which, batch, relu):
        centre, near, far = (part.contiguous() for part in (centre, near, far))
        out = centre.new_empty(len(batch.row), centre.shape[1])
        inputs = map(_array, (centre, near, far, batch.pair_offsets, batch.neighbour, which))
        _on_crystals("pair_hidden", batch, *inputs, relu, _array(out))
        ctx.save_for_backward(centre, near, far, which)
        ctx.batch, ctx.relu = batch, relu
        return out

    @staticmethod
    def backward(ctx, grad):
        centre, near, far, which = ctx.saved_tensors
        batch = ctx.batch
        inputs = map(_array, (centre, near, far, batch.pair_offsets, batch.neighbour, which))
        to_parts = [torch.zeros_like(part) for part in (centre, near, far)]
        _on_crystals("pair_hidden_gradient", batch, *inputs, ctx.relu, *map(_array, (grad.contiguous(), *to_parts)))
        return *to_parts, None, None, None


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, near, step, queries, batch, relu, normalized):
        near, step, queries = (part.contiguous() for part in (near, step, queries))
        out = near.new_empty(len(queries), len(batch.row))
        inputs = map(_array, (near, step, batch.distance, batch.pair_offsets, batch.neighbour))
        _on_crystals("scores", batch, *inputs, relu, normalized, _array(queries), _array(out))
        ctx.save_for_backward(near, step, queries)
        ctx.batch, ctx.options = batch, (relu, normalized)
        return out

    @staticmethod
    def backward(ctx, grad):
        near, step, queries = ctx.saved_tensors
        batch = ctx.batch
        inputs = map(_array, (near, step, batch.distance, batch.pair_offsets, batch.neighbour))
        to_queries = torch.zeros_like(queries)
        others = map(_array, (queries, grad.contiguous(), to_queries))
        # Neighbours may belong to other crystals, as negatives do.
        to_near, to_step = _on_crystals("scores_gradient", batch, *inputs, *ctx.options, *others, shared=(near, step))
        return to_near, to_step, to_queries, None, None, None


def _array(tensor):
    return tensor.detach().numpy()


def _loop(name):
    return getattr(_loops(), name)


def _on_rows(name, n, *arguments):
    """Run a loop over independent rows."""
    cuts = _cuts(n, _threads_for(n))
    _in_threads(_loop(name), cuts, [arguments] * (len(cuts) - 1))


def _on_crystals(name, batch, *arguments, shared=()):
    """Run a loop over the site classes of a batch.

    ``shared`` are tensors to whose gradients all crystals contribute; these are returned.
    """
    n = (_parts_for if shared else _threads_for)(len(batch.row))
    pairs = batch.pair_offsets[batch.class_offsets]
    targets = torch.arange(1, n) * (len(batch.row) / n)
    crystals = torch.searchsorted(pairs, targets.to(pairs.dtype))
    cuts = [0, *batch.class_offsets[crystals].tolist(), len(batch.numbers)]
    parts = [torch.zeros(n, *tensor.shape, dtype=torch.float32) for tensor in shared]
    _in_threads(_loop(name), cuts, [(*arguments, *(_array(part[k]) for part in parts)) for k in range(n)])
    return [part.sum(dim=0) if n > 1 else part[0] for part in parts]


def _in_threads(function, cuts, arguments):
    """Call a function for each interval between cuts, in as many threads as allowed; one of them is this thread."""
    calls = list(zip(cuts[:-1], cuts[1:], arguments, strict=True))
    n = min(n_threads(), len(calls))

    def run(calls):
        for first, last, args in calls:
            function(first, last, *args)

    pending = [_pool(os.getpid(), n - 1).submit(run, calls[k::n]) for k in range(1, n)]
    run(calls[::n])
    for job in pending:
        job.result()


def _threads_for(n):
    # Waking a thread costs as much as some hundred rows.
    return max(1, min(n_threads(), n // 500))


def _parts_for(n):
    return max(1, min(_MAX_PARTS, n // _PART))


def _cuts(n, n_parts):
    """Where n rows are cut into parts."""
    return [round(n * k / n_parts) for k in range(n_parts + 1)]


def _chunk_cuts(n):
    """Where n rows are cut into parts of whole chunks: the rounding of a product depends on its number of rows."""
    return [min(_CHUNK * cut, n) for cut in _cuts(-(-n // _CHUNK), _parts_for(n))]


def _chunks(first, last):
    return (slice(start, min(start + _CHUNK, last)) for start in range(first, last, _CHUNK))


@lru_cache(maxsize=4)
def _pool(pid, n_threads):
    """Threads of this process: a forked process has none of its parent's."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skdim")

"""The operations of :mod:`skdim.nn.operations` by the compiled loops of this package.

For float32 on the CPU, where numba can be imported (:func:`supports`). :mod:`skdim.nn.compiled.parallel` shares a batch
between threads crystal by crystal, as no pair reaches beyond its crystal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .availability import loops
from .availability import supports as supports
from .parallel import arrays, on_crystals
from .parallel import n_threads as n_threads
from .parallel import threads as threads
from .row_autograd import CrystalMean, CrystalMoments, Dense, DistanceTerm, Normalize, Pool, SiteTerms, once


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    return Normalize.apply(x, activation == "relu")


def dense(x: Tensor, parameters, activated: tuple[bool, ...], activation: str = "mish") -> Tensor:
    return Dense.apply(x, activation == "relu", activated, torch.is_grad_enabled(), *parameters)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return Dense.apply(x, False, (False,), torch.is_grad_enabled(), weight, bias)


def site_terms(x: Tensor, lift, centre, near, activation: str = "mish") -> tuple[Tensor, Tensor]:
    return SiteTerms.apply(x, activation == "relu", torch.is_grad_enabled(), *lift, *centre, *near)


def pool(x: Tensor, before, after, activated: tuple[bool, ...], batch, activation: str = "mish") -> Tensor:
    keep = torch.is_grad_enabled()
    return Pool.apply(x, activation == "relu", activated, len(before) // 2, batch, keep, *before, *after)


def distinct_distances(batch) -> tuple[Tensor, Tensor]:
    offsets, distance = batch.pair_offsets[batch.class_offsets], batch.distance.contiguous()
    values, which = torch.empty_like(distance), torch.empty(len(distance), dtype=torch.int64)
    n = loops().distinct_distances(*arrays(offsets, distance, values, which))
    return values[:n], which


def distance_term(
    distance: Tensor, weight: Tensor, bias: Tensor, pair_weight: Tensor, activation: str = "mish"
) -> Tensor:
    return DistanceTerm.apply(distance, weight, bias, pair_weight, activation == "relu")


def attend(centre, near, far, which, logit_weight, batch, log_count, activation="mish") -> tuple[Tensor, Tensor]:
    return _Attend.apply(centre, near, far, logit_weight, which, batch, log_count, activation == "relu")


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    return _PairHidden.apply(centre, near, far, which, batch, activation == "relu")


def crystal_mean(values: Tensor, batch) -> Tensor:
    return CrystalMean.apply(values, batch)


def crystal_moments(values: Tensor, batch) -> Tensor:
    return CrystalMoments.apply(values, batch)


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    return _PairScores.apply(near, step, queries, batch, activation == "relu", normalized)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, weight, which, batch, log_count, relu):
        centre, near, far, weight = (part.contiguous() for part in (centre, near, far, weight))
        heads, wide = weight.shape
        summed = centre.new_empty(heads, len(centre), centre.shape[1] - wide)
        attention = centre.new_empty(len(batch.row), heads)
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, relu
        on_crystals(loops().attend, batch, *inputs, log_count, weight, summed, attention)
        ctx.save_for_backward(centre, near, far, weight, which, attention)
        ctx.batch, ctx.relu = batch, relu
        ctx.mark_non_differentiable(attention)
        return summed, attention

    @staticmethod
    def backward(ctx, grad, _):
        centre, near, far, weight, which, attention = once(ctx)
        batch = ctx.batch
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, ctx.relu
        to_parts = [torch.zeros_like(part) for part in (centre, near, far)]
        others = weight, attention, grad.contiguous(), *to_parts
        (to_weight,) = on_crystals(loops().attend_gradient, batch, *inputs, *others, shared=(weight,))
        return *to_parts, to_weight, None, None, None, None


class _PairHidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx, centre, near, far, which, batch, relu):
        centre, near, far = (part.contiguous() for part in (centre, near, far))
        out = centre.new_empty(len(batch.row), centre.shape[1])
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, relu
        on_crystals(loops().pair_hidden, batch, *inputs, out)
        ctx.save_for_backward(centre, near, far, which)
        ctx.batch, ctx.relu = batch, relu
        return out

    @staticmethod
    def backward(ctx, grad):
        centre, near, far, which = once(ctx)
        batch = ctx.batch
        inputs = centre, near, far, batch.pair_offsets, batch.neighbour, which, ctx.relu
        to_parts = [torch.zeros_like(part) for part in (centre, near, far)]
        on_crystals(loops().pair_hidden_gradient, batch, *inputs, grad.contiguous(), *to_parts)
        return *to_parts, None, None, None


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, near, step, queries, batch, relu, normalized):
        near, step, queries = (part.contiguous() for part in (near, step, queries))
        out = near.new_empty(len(queries), len(batch.row))
        inputs = near, step, batch.distance, batch.pair_offsets, batch.neighbour, relu, normalized
        on_crystals(loops().scores, batch, *inputs, queries, out)
        ctx.save_for_backward(near, step, queries)
        ctx.batch, ctx.options = batch, (relu, normalized)
        return out

    @staticmethod
    def backward(ctx, grad):
        near, step, queries = once(ctx)
        batch = ctx.batch
        inputs = near, step, batch.distance, batch.pair_offsets, batch.neighbour, *ctx.options
        to_queries = torch.zeros_like(queries)
        others = queries, grad.contiguous(), to_queries
        # Neighbours may belong to other crystals, as negatives do.
        loop = loops().scores_gradient
        to_near, to_step = on_crystals(loop, batch, *inputs, *others, shared=(near, step))
        return to_near, to_step, to_queries, None, None, None

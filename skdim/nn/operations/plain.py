"""The operations in plain torch: any device, any precision. :mod:`skdim.nn.operations` says what each returns."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from .functional import mish, moments, segment_softmax, segment_sum, segment_total

ACTIVATIONS = {"mish": mish, "relu": torch.relu}
#: Pairs processed at a time on a CPU, so that they stay in the cache.
_PART = 2048


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    return functional.layer_norm(ACTIVATIONS[activation](x), x.shape[-1:])


def dense(x: Tensor, parameters, activated: tuple[bool, ...], activation: str = "mish") -> Tensor:
    for k, is_activated in enumerate(activated):
        x = functional.linear(x, *parameters[2 * k : 2 * k + 2])
        if is_activated:
            x = normalize(x, activation)
    return x


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.linear(x, weight, bias)


def site_terms(x: Tensor, lift, centre, near, activation: str = "mish") -> tuple[Tensor, Tensor]:
    lifted = dense(x, lift, (True,), activation)
    return functional.linear(lifted, *centre), functional.linear(lifted, *near)


def pool(x: Tensor, before, after, activated: tuple[bool, ...], batch, activation: str = "mish") -> Tensor:
    n_before = len(before) // 2
    pooled = crystal_mean(dense(x, before, activated[:n_before], activation), batch)
    return dense(pooled, after, activated[n_before:], activation)


def distinct_distances(batch) -> tuple[Tensor, Tensor]:
    # One sort for all crystals; double precision holds both numbers.
    apart = 2 ** torch.ceil(torch.log2(batch.distance.max().to(torch.float64) + 1))  # more than any distance
    key = batch.crystal.index_select(0, batch.row).to(torch.float64) * apart + batch.distance
    values, which = torch.unique(key, return_inverse=True)
    return (values % apart).to(batch.distance.dtype), which


def distance_term(
    distance: Tensor, weight: Tensor, bias: Tensor, pair_weight: Tensor, activation: str = "mish"
) -> Tensor:
    return functional.linear(normalize(functional.linear(distance[:, None], weight, bias), activation), pair_weight)


def attend(centre, near, far, which, logit_weight, batch, log_count, activation="mish") -> tuple[Tensor, Tensor]:
    if in_parts(centre, len(batch.row)):
        return _Attend.apply(centre, near, far, logit_weight, which, batch, log_count, activation)
    hidden = _sum_of_terms(centre, near, far, batch.row, batch.neighbour, which)
    return _attend_rows(hidden, logit_weight, batch.pair_offsets, batch.row, log_count, activation)


def _attend_rows(hidden, logit_weight, offsets, row, log_count, activation):
    """Sums (H, n, V) and attention weights of n rows, from the sums of terms of their pairs."""
    hidden = ACTIVATIONS[activation](hidden)
    for_logit, for_value = hidden.split((logit_weight.shape[1], hidden.shape[1] - logit_weight.shape[1]), dim=1)
    # Layer normalization folded into the linear maps that follow it.
    mean, scale = moments(for_logit)
    logits = (for_logit @ logit_weight.T - mean[:, None] * logit_weight.sum(dim=1)) * scale[:, None]
    attention = segment_softmax(logits + log_count[:, None], row, len(offsets) - 1)
    mean, scale = moments(for_value)
    heads = []
    for head in range(len(logit_weight)):
        weights = attention[:, head] * scale
        total = segment_sum(for_value, weights, offsets, row)
        heads.append(total - segment_total(mean * weights, row, len(offsets) - 1)[:, None])
    return torch.stack(heads), attention


class _Attend(torch.autograd.Function):
    """:func:`attend` in parts that stay in the cache; the gradient computes the hidden layers again."""

    @staticmethod
    def forward(ctx, centre, near, far, logit_weight, which, batch, log_count, activation):
        n_heads, wide = logit_weight.shape
        summed = centre.new_empty(n_heads, len(centre), centre.shape[1] - wide)
        attention = centre.new_empty(len(batch.row), n_heads)
        for classes, pairs, row, offsets in parts(batch):
            hidden = _sum_of_terms(centre, near, far, batch.row[pairs], batch.neighbour[pairs], which[pairs])
            summed[:, classes], attention[pairs] = _attend_rows(
                hidden, logit_weight, offsets, row, log_count[pairs], activation
            )
        ctx.save_for_backward(centre, near, far, logit_weight, which, log_count)
        ctx.batch, ctx.activation = batch, activation
        ctx.mark_non_differentiable(attention)
        return summed, attention

    @staticmethod
    def backward(ctx, grad, _):
        centre, near, far, logit_weight, which, log_count = ctx.saved_tensors
        batch, gradients = ctx.batch, [torch.zeros_like(part) for part in (centre, near, far, logit_weight)]
        weight = logit_weight.detach().requires_grad_()
        for classes, pairs, row, offsets in parts(batch):
            index = batch.row[pairs], batch.neighbour[pairs], which[pairs]
            with torch.enable_grad():
                hidden = _sum_of_terms(centre, near, far, *index).detach().requires_grad_()
                summed, _ = _attend_rows(hidden, weight, offsets, row, log_count[pairs], ctx.activation)
            to_hidden, to_weight = torch.autograd.grad(summed, (hidden, weight), grad[:, classes])
            gradients[3] += to_weight
            for gradient, places in zip(gradients[:3], index, strict=True):
                gradient.index_add_(0, places, to_hidden)
        return *gradients, None, None, None, None


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    return normalize(_sum_of_terms(centre, near, far, batch.row, batch.neighbour, which), activation)


def crystal_mean(values: Tensor, batch) -> Tensor:
    return segment_sum(values, batch.site_share, batch.class_offsets, batch.crystal)


def crystal_moments(values: Tensor, batch) -> Tensor:
    mean = crystal_mean(values, batch)
    deviation = values - mean.index_select(0, batch.crystal)
    # The square root has no slope at 0: a crystal whose sites are all alike would give an infinite gradient.
    return torch.cat([mean, torch.sqrt(crystal_mean(deviation * deviation, batch) + 1e-12) - 1e-6], dim=1)


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    if in_parts(near, len(batch.row)):
        return _PairScores.apply(near, step, queries, batch, activation, normalized)
    return _score_rows(_line(near, step, batch), queries, batch.row, activation, normalized)


def _line(near, step, batch, pairs=slice(None)):
    return near.index_select(0, batch.neighbour[pairs]).addcmul_(batch.distance[pairs, None], step[None])


def _score_rows(hidden, queries, row, activation, normalized):
    """Scores (n, p) of pairs with the queries of their rows, from the sums of terms of the pairs."""
    hidden = ACTIVATIONS[activation](hidden)
    product = torch.linalg.vecdot(queries.index_select(1, row), hidden)
    if not normalized:
        return product
    mean, scale = moments(hidden)
    return (product - mean * queries.sum(dim=2).index_select(1, row)) * scale


class _PairScores(torch.autograd.Function):
    """:func:`pair_scores` in parts, as :class:`_Attend`."""

    @staticmethod
    def forward(ctx, near, step, queries, batch, activation, normalized):
        out = near.new_empty(len(queries), len(batch.row))
        for classes, pairs, row, _ in parts(batch):
            hidden = _line(near, step, batch, pairs)
            out[:, pairs] = _score_rows(hidden, queries[:, classes], row, activation, normalized)
        ctx.save_for_backward(near, step, queries)
        ctx.batch, ctx.options = batch, (activation, normalized)
        return out

    @staticmethod
    def backward(ctx, grad):
        near, step, queries = ctx.saved_tensors
        batch = ctx.batch
        to_near, to_step, to_queries = (torch.zeros_like(each) for each in (near, step, queries))
        for classes, pairs, row, _ in parts(batch):
            with torch.enable_grad():
                hidden = _line(near, step, batch, pairs).detach().requires_grad_()
                of_rows = queries[:, classes].detach().requires_grad_()
                out = _score_rows(hidden, of_rows, row, *ctx.options)
            to_hidden, to_queries[:, classes] = torch.autograd.grad(out, (hidden, of_rows), grad[:, pairs])
            to_near.index_add_(0, batch.neighbour[pairs], to_hidden)
            to_step += batch.distance[pairs] @ to_hidden
        return to_near, to_step, to_queries, None, None, None


def _sum_of_terms(centre, near, far, row, neighbour, which):
    return centre.index_select(0, row).add_(near.index_select(0, neighbour)).add_(far.index_select(0, which))


def in_parts(values: Tensor, n_pairs: int) -> bool:
    """Whether pairs are processed in parts: on a CPU, whose caches hold few of them, without autocast."""
    return n_pairs > 2 * _PART and values.is_cpu and not torch.is_autocast_enabled("cpu")


def parts(batch):
    """Yield consecutive site classes with about ``_PART`` pairs: their slice, that of their pairs, the row of each pair
    and the offsets of the rows, both from the start of the part."""
    offsets = batch.pair_offsets
    targets = torch.tensor(range(_PART, int(offsets[-1]), _PART), dtype=offsets.dtype)
    cuts = [0, *torch.searchsorted(offsets, targets).unique().tolist(), len(offsets) - 1]
    for first, last in itertools.pairwise(dict.fromkeys(cuts)):
        start, stop = int(offsets[first]), int(offsets[last])
        pairs = slice(start, stop)
        yield slice(first, last), pairs, batch.row[pairs] - first, offsets[first : last + 1] - start

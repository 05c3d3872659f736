"""The operations in plain torch: any device, any precision. :mod:`skdim.nn.operations` says what each returns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .functional import mish, moments, segment_softmax, segment_sum

ACTIVATIONS = {"mish": mish, "relu": torch.relu}


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    return functional.layer_norm(ACTIVATIONS[activation](x), x.shape[-1:])


def dense(x: Tensor, parameters, n_activated: int, activation: str = "mish") -> Tensor:
    for k in range(len(parameters) // 2):
        x = functional.linear(x, *parameters[2 * k : 2 * k + 2])
        if k < n_activated:
            x = normalize(x, activation)
    return x


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
    hidden = ACTIVATIONS[activation](_sum_of_terms(centre, near, far, which, batch))
    for_logit, for_value = hidden.split((logit_weight.shape[1], hidden.shape[1] - logit_weight.shape[1]), dim=1)
    # Layer normalization folded into the linear maps that follow it.
    mean, scale = moments(for_logit)
    logits = (for_logit @ logit_weight.T - mean[:, None] * logit_weight.sum(dim=1)) * scale[:, None]
    attention = segment_softmax(logits + log_count[:, None], batch.row, len(centre))
    mean, scale = moments(for_value)
    heads = []
    for head in range(len(logit_weight)):
        weights = attention[:, head] * scale
        total = segment_sum(for_value, weights, batch.pair_offsets, batch.row)
        heads.append(total - segment_sum(mean[:, None], weights, batch.pair_offsets, batch.row))
    return torch.stack(heads), attention


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    return normalize(_sum_of_terms(centre, near, far, which, batch), activation)


def crystal_mean(values: Tensor, batch) -> Tensor:
    return segment_sum(values, batch.site_share, batch.class_offsets, batch.crystal)


def crystal_moments(values: Tensor, batch) -> Tensor:
    mean = crystal_mean(values, batch)
    deviation = values - mean.index_select(0, batch.crystal)
    # The square root has no slope at 0: a crystal whose sites are all alike would give an infinite gradient.
    return torch.cat([mean, torch.sqrt(crystal_mean(deviation * deviation, batch) + 1e-12) - 1e-6], dim=1)


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    hidden = near.index_select(0, batch.neighbour).addcmul_(batch.distance[:, None], step[None])
    hidden = ACTIVATIONS[activation](hidden)
    product = torch.linalg.vecdot(queries.index_select(1, batch.row), hidden)
    if not normalized:
        return product
    mean, scale = moments(hidden)
    return (product - mean * queries.sum(dim=2).index_select(1, batch.row)) * scale


def _sum_of_terms(centre, near, far, which, batch):
    hidden = centre.index_select(0, batch.row).add_(near.index_select(0, batch.neighbour))
    return hidden.add_(far.index_select(0, which))

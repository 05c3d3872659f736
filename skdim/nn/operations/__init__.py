"""Operations over sites and pairs, the costly part of the networks, in two implementations with the same functions.

:mod:`skdim.nn.operations.plain` is torch on any device and in any precision; :mod:`skdim.nn.compiled.autograd` gives
the same results faster, for float32 on the CPU where numba can be imported. The functions below choose between them;
networks call only these. Shapes: C site classes, P pairs, H heads, U rows of pair terms.
"""

from __future__ import annotations

from torch import Tensor

from ..compiled import autograd
from . import plain


def implementation(values: Tensor):
    """The module whose functions process these values."""
    return autograd if autograd.supports(values) else plain


def normalize(x: Tensor, activation: str = "mish") -> Tensor:
    """Activation ("mish" or "relu"), then layer normalization, of rows (n, width)."""
    return implementation(x).normalize(x, activation)


def dense(x: Tensor, parameters, activated: tuple[bool, ...], activation: str = "mish") -> Tensor:
    """Dense layers of rows (n, n_in), (n, n_out).

    Parameters
    ----------
    x : Tensor of shape (n, n_in)
    parameters : sequence of Tensor
        Weight and bias of each layer.
    activated : tuple of bool
        Whether an activation and a layer normalization follow, for each layer.
    activation : {"mish", "relu"}
    """
    return implementation(x).dense(x, parameters, activated, activation)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Linear layer of rows (n, n_in), with weights (n_out, n_in) and biases (n_out,), (n, n_out)."""
    return implementation(x).linear(x, weight, bias)


def site_terms(x: Tensor, lift, centre, near, activation: str = "mish") -> tuple[Tensor, Tensor]:
    """Rows (C, n_in) lifted by a dense layer, through two linear layers: both outputs, (C, hidden) each.

    ``lift`` and ``centre`` are weight and bias of a layer, ``near`` is a weight alone, in a tuple.
    """
    return implementation(x).site_terms(x, lift, centre, near, activation)


def pool(x: Tensor, before, after, activated: tuple[bool, ...], batch, activation: str = "mish") -> Tensor:
    """Dense layers of sites (C, n_in), their mean over each crystal, and dense layers of these, (K, n_out).

    ``before`` and ``after`` are weights and biases of the layers; ``activated`` is as in :func:`dense`, of all layers.
    """
    return implementation(x).pool(x, before, after, activated, batch, activation)


def distinct_distances(batch) -> tuple[Tensor, Tensor]:
    """Distances of each crystal without repetition (U,), and the index of each pair's distance among them (P,)."""
    return implementation(batch.distance).distinct_distances(batch)


def distance_term(
    distance: Tensor, weight: Tensor, bias: Tensor, pair_weight: Tensor, activation: str = "mish"
) -> Tensor:
    """Lifted distances (U,) through a linear layer: normalize(distance weight + bias) pair_weight', (U, hidden)."""
    return implementation(distance).distance_term(distance, weight, bias, pair_weight, activation)


def attend(centre, near, far, which, logit_weight, batch, log_count, activation="mish") -> tuple[Tensor, Tensor]:
    """Attention of each site class over its pairs.

    The hidden layer of a pair is the activation of centre[row] + near[neighbour] + far[which]. Its first A columns give
    the logits, the others are the values; each part has its layer normalization.

    Parameters
    ----------
    centre, near : Tensor of shape (C, A + V)
    far : Tensor of shape (U, A + V)
        No two crystals share a row.
    which : Tensor of int64 of shape (P,)
    logit_weight : Tensor of shape (H, A)
    batch : Batch
        For its pairs.
    log_count : Tensor of shape (P,)
        Added to the logits: the logarithm of the number of columns that a pair stands for; -inf leaves it out.
    activation : {"mish", "relu"}

    Returns
    -------
    summed : Tensor of shape (H, C, V)
        Values summed with the attention weights of each head.
    attention : Tensor of shape (P, H)
        Not to be differentiated: most implementations pass no gradient through it.
    """
    return implementation(centre).attend(centre, near, far, which, logit_weight, batch, log_count, activation)


def pair_hidden(centre, near, far, which, batch, activation="mish") -> Tensor:
    """Normalized hidden layer of each pair, of activation(centre[row] + near[neighbour] + far[which]), (P, width)."""
    return implementation(centre).pair_hidden(centre, near, far, which, batch, activation)


def crystal_mean(values: Tensor, batch) -> Tensor:
    """Mean of ``values`` (C, width) over the sites of each crystal, (K, width)."""
    return implementation(values).crystal_mean(values, batch)


def crystal_moments(values: Tensor, batch) -> Tensor:
    """Mean and standard deviation of ``values`` (C, width) over the sites of each crystal, (K, 2 width)."""
    return implementation(values).crystal_moments(values, batch)


def pair_scores(near, step, queries, batch, activation="mish", normalized=True) -> Tensor:
    """Products (n, P) of each pair's hidden layer with the n queries (n, C, width) of its row.

    The hidden layer is activation(near[neighbour] + distance step), with layer normalization if ``normalized``; near
    (C, width), step (width,).
    """
    return implementation(near).pair_scores(near, step, queries, batch, activation, normalized)

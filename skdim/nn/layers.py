"""Dense layers as Site-Net stacks them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from . import operations
from .operations.plain import ACTIVATIONS


class Linear(nn.Linear):
    """Linear layer of rows (n, n_in)."""

    def forward(self, x: Tensor) -> Tensor:
        return operations.linear(x, self.weight, self.bias)


class Gain(nn.Module):
    """Gain and offset of each column, as in an affine layer normalization."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


class Dense(nn.Module):
    """Linear layer, activation, layer normalization.

    Parameters
    ----------
    n_in, n_out : int
    activation : {"mish", "relu"}, default="mish"
    norm : bool, default=True
        Whether there is a layer normalization.
    gains : bool, default=False
        Whether the normalization has a gain and an offset. The next linear layer can absorb them.
    """

    def __init__(self, n_in: int, n_out: int, activation="mish", norm=True, gains=False):
        super().__init__()
        self.linear = Linear(n_in, n_out)
        self.activation = activation
        self.normalized = norm
        self.norm = Gain(n_out) if gains else None

    @property
    def is_one_operation(self) -> bool:
        """Whether it is one operation of :mod:`skdim.nn.operations`."""
        return self.normalized and self.norm is None

    def forward(self, x: Tensor) -> Tensor:
        if self.normalized:
            x = operations.dense(x, (self.linear.weight, self.linear.bias), (True,), self.activation)
        else:
            x = ACTIVATIONS[self.activation](self.linear(x))
        return x if self.norm is None else self.norm(x)


class DenseStack(nn.Sequential):
    """Dense layers, all of the same options; the last may be linear."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_one_operation:
            return super().forward(x)
        first: Any = self[0]
        return operations.dense(x, *self.parameters_and_activated(), first.activation)

    @property
    def is_one_operation(self) -> bool:
        """Whether there are dense layers, and all layers together are one operation."""
        dense = [layer for layer in self if isinstance(layer, Dense)]
        return bool(dense) and all(layer.is_one_operation for layer in dense)

    def parameters_and_activated(self) -> tuple[list[Tensor], tuple[bool, ...]]:
        """Weights and biases of the layers, and whether each is a dense layer."""
        linear: list[Any] = [layer.linear if isinstance(layer, Dense) else layer for layer in self]
        activated = tuple(isinstance(layer, Dense) for layer in self)
        return [p for layer in linear for p in (layer.weight, layer.bias)], activated


def dense_stack(n_in: int, widths, n_out: int | None = None, **options) -> DenseStack:
    """Dense layers of these widths, followed by a linear layer to ``n_out`` if given; options as in :class:`Dense`."""
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(Dense(n_in, width, **options))
        n_in = width
    if n_out is not None:
        layers.append(Linear(n_in, n_out))
    return DenseStack(*layers)


class BondLinear(nn.Module):
    """A linear layer on bond vectors [x_i, x_j, e_ij] in three parts, so that bond vectors are never built.

    W [x_i, x_j, e_ij] + b = (W_i x_i + b) + W_j x_j + W_e e_ij. The first two terms are computed once per site class,
    the last once per distinct distance. :mod:`skdim.nn.operations` sums them.
    """

    def __init__(self, site_width: int, pair_width: int, n_out: int):
        super().__init__()
        self.centre = Linear(site_width, n_out)
        self.neighbour = Linear(site_width, n_out, bias=False)
        self.pair = Linear(pair_width, n_out, bias=False)
        # Initialized as one layer with 2 * site_width + pair_width inputs.
        bound = 1 / math.sqrt(2 * site_width + pair_width)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)


class ElementEmbedding(nn.Embedding):
    """A learned vector for each atomic number, in row Z of the table.

    Parameters
    ----------
    n_rows, width : int
    norm_limit : float or None
        Longer vectors are scaled to this length when they are read; during training the table itself is scaled.
    """

    def __init__(self, n_rows: int, width: int, norm_limit: float | None = None):
        super().__init__(n_rows, width)
        self.norm_limit = norm_limit

    def forward(self, numbers: Tensor) -> Tensor:
        if self.norm_limit is None:
            return super().forward(numbers)
        with torch.no_grad():
            norm = self.weight.norm(dim=1, keepdim=True)
            factor = torch.where(norm > self.norm_limit, self.norm_limit / (norm + 1e-7), 1.0)
            scale_table = self.training and self.weight.requires_grad
            if scale_table:
                self.weight.mul_(factor)
        vectors = super().forward(numbers)
        return vectors if scale_table else vectors * factor[numbers]


class InputScale(nn.Module):
    """Site inputs in another scale: inputs * factor + offset, column by column; unchanged without numbers.

    Parameters
    ----------
    scale : sequence of (factor, offset) of length F, or None
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, scale=None):
        super().__init__()
        self.identity = scale is None
        factors, offsets = zip(*scale, strict=True) if scale else ((), ())
        # They are settings, not weights, so files of weights do not contain them.
        self.register_buffer("factor", torch.tensor(factors, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(offsets, dtype=torch.float32), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if self.identity else inputs * self.factor + self.offset


class LinearReadout(nn.Module):
    """A linear layer on crystal vectors whose components are standardized by fixed numbers.

    Parameters
    ----------
    width : int
        Length of the vectors.
    n_outputs : int
    """

    vector_mean: Tensor
    vector_scale: Tensor

    def __init__(self, width: int, n_outputs: int):
        super().__init__()
        # Components of a vector can differ in size by orders of magnitude: the layer gets them standardized, by numbers
        # that are fixed before the first step.
        self.register_buffer("vector_mean", torch.zeros(width))
        self.register_buffer("vector_scale", torch.ones(width))
        self.linear = Linear(width, n_outputs)

    def standardize_vectors(self, vectors: Tensor) -> None:
        """Fix the standardization of the vectors to that of these ones (n, width)."""
        self.vector_mean.copy_(vectors.mean(dim=0))
        spread = vectors.std(dim=0, correction=0)
        # Dividing a constant component by its rounding noise would amplify that.
        self.vector_scale.copy_(torch.where(spread > 1e-3 * spread.max(), spread, spread.max() + 1e-12))

    def forward(self, vectors: Tensor) -> Tensor:
        """Outputs (K, n_outputs) for vectors (K, width)."""
        return self.linear((vectors - self.vector_mean) / self.vector_scale)

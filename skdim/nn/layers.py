"""Dense layers as Site-Net stacks them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from . import operations


class Dense(nn.Module):
    """Linear layer, Mish, layer normalization without gain and offset, which the next linear layer can absorb."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return operations.normalize(self.linear(x))


def dense_stack(n_in: int, widths, n_out: int | None = None) -> nn.Sequential:
    """Dense layers of these widths, followed by a linear layer to ``n_out`` if given."""
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(Dense(n_in, width))
        n_in = width
    if n_out is not None:
        layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)


class BondLinear(nn.Module):
    """A linear layer on bond vectors [x_i, x_j, e_ij] in three parts, so that bond vectors are never built.

    W [x_i, x_j, e_ij] + b = (W_i x_i + b) + W_j x_j + W_e e_ij. The first two terms are computed once per site class,
    the last once per distinct distance. :mod:`skdim.nn.operations` sums them.
    """

    def __init__(self, site_width: int, pair_width: int, n_out: int):
        super().__init__()
        self.centre = nn.Linear(site_width, n_out)
        self.neighbour = nn.Linear(site_width, n_out, bias=False)
        self.pair = nn.Linear(pair_width, n_out, bias=False)
        # Initialized as one layer with 2 * site_width + pair_width inputs.
        bound = 1 / math.sqrt(2 * site_width + pair_width)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)

"""Dense layers as Site-Net stacks them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .compiled import autograd as fused
from .functional import mish


class Dense(nn.Module):
    """Linear, Mish, layer normalisation.

    The normalisation has no gain and offset of its own: the next linear layer has them.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.norm = nn.LayerNorm(n_out, elementwise_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return fused.dense(x) if fused.fusible(x) else self.norm(mish(x))


def dense_stack(n_in: int, widths, n_out: int | None = None) -> nn.Sequential:
    """Dense layers of these widths, and a linear layer to ``n_out`` after them if given."""
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(Dense(n_in, width))
        n_in = width
    if n_out is not None:
        layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)


class BondLinear(nn.Module):
    """A linear layer on bond vectors [x_i, x_j, e_ij] that never makes them.

    W [x_i, x_j, e_ij] + b = (W_i x_i + b) + W_j x_j + W_e e_ij: the first two terms are computed once a site class, and
    the last one is shared by pairs and passes that see the same distance. Whoever adds them up calls the three parts.
    """

    def __init__(self, site_width: int, pair_width: int, n_out: int):
        super().__init__()
        self.centre = nn.Linear(site_width, n_out)
        self.neighbour = nn.Linear(site_width, n_out, bias=False)
        self.pair = nn.Linear(pair_width, n_out, bias=False)
        # Initialised as the one layer on all 2 * site_width + pair_width inputs that it is.
        bound = 1 / math.sqrt(2 * site_width + pair_width)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)

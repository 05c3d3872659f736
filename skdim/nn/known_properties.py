"""Linear prediction of known properties from the vectors of crystals, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .losses import loss_of_known
from .sitenet import LOSSES


class KnownProperties(nn.Module):
    """A linear layer from crystal vectors to standardized properties, of which some are unknown for each crystal.

    Parameters
    ----------
    width : int
        Length of the vectors.
    n_properties : int
    """

    vector_mean: Tensor
    vector_scale: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, n_properties: int):
        super().__init__()
        # Components of a vector can differ in size by orders of magnitude: the layer gets them standardized, by numbers
        # that are fixed before the first step.
        self.register_buffer("vector_mean", torch.zeros(width))
        self.register_buffer("vector_scale", torch.ones(width))
        # Of the properties, in their units.
        self.register_buffer("mean", torch.zeros(n_properties))
        self.register_buffer("scale", torch.ones(n_properties))
        self.linear = nn.Linear(width, n_properties)

    def standardize(self, vectors: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Fix the standardization of the vectors to these ones (n, width), and that of the properties."""
        self.vector_mean.copy_(vectors.mean(dim=0))
        spread = vectors.std(dim=0, correction=0)
        # Dividing a constant component by its rounding noise would amplify that.
        self.vector_scale.copy_(torch.where(spread > 1e-3 * spread.max(), spread, spread.max() + 1e-12))
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, vectors: Tensor) -> Tensor:
        """Standardized properties (K, n_properties) of vectors (K, width)."""
        return self.linear((vectors - self.vector_mean) / self.vector_scale)

    def in_units(self, vectors: Tensor) -> Tensor:
        """Properties (K, n_properties) in their units."""
        return self(vectors) * self.scale + self.mean

    def loss(self, vectors: Tensor, properties: Tensor) -> Tensor:
        """Sum over crystals and their known properties, a scalar.

        ``properties`` (K, n_properties) are standardized, NaN where unknown. The loss is quadratic up to one standard
        deviation and linear beyond, so that outliers have a bounded influence.
        """
        return loss_of_known(LOSSES["huber"], self(vectors), properties).sum()

"""Linear predictions from the vectors of crystals: known properties, and their loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .losses import loss_of_known
from .sitenet import LOSSES


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
        self.linear = nn.Linear(width, n_outputs)

    def standardize_vectors(self, vectors: Tensor) -> None:
        """Fix the standardization of the vectors to that of these ones (n, width)."""
        self.vector_mean.copy_(vectors.mean(dim=0))
        spread = vectors.std(dim=0, correction=0)
        # Dividing a constant component by its rounding noise would amplify that.
        self.vector_scale.copy_(torch.where(spread > 1e-3 * spread.max(), spread, spread.max() + 1e-12))

    def forward(self, vectors: Tensor) -> Tensor:
        """Outputs (K, n_outputs) for vectors (K, width)."""
        return self.linear((vectors - self.vector_mean) / self.vector_scale)


class KnownProperties(LinearReadout):
    """Standardized properties of crystals, of which some are unknown for each crystal, from their vectors.

    Parameters
    ----------
    width : int
        Length of the vectors.
    n_properties : int
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, n_properties: int):
        super().__init__(width, n_properties)
        # Of the properties, in their units.
        self.register_buffer("mean", torch.zeros(n_properties))
        self.register_buffer("scale", torch.ones(n_properties))

    def standardize(self, vectors: Tensor, mean: Tensor, scale: Tensor) -> None:
        """Fix the standardization of the vectors to that of these ones (n, width), and that of the properties."""
        self.standardize_vectors(vectors)
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def in_units(self, vectors: Tensor) -> Tensor:
        """Properties (K, n_properties) in their units."""
        return self(vectors) * self.scale + self.mean

    def loss(self, vectors: Tensor, properties: Tensor) -> Tensor:
        """Sum over crystals and their known properties, a scalar.

        ``properties`` (K, n_properties) are standardized, NaN where unknown. The loss is quadratic up to one standard
        deviation and linear beyond, so that outliers have a bounded influence.
        """
        return loss_of_known(LOSSES["huber"], self(vectors), properties).sum()

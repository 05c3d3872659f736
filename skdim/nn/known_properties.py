"""Linear prediction of known properties from the vectors of crystals, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor

from .layers import LinearReadout
from .losses import loss_of_known
from .sitenet import LOSSES


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

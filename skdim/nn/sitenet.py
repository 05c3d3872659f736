"""The supervised Site-Net: the encoder with a small head."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import operations
from .batch import Batch
from .choices import GEOMETRY
from .descriptors import crystal_statistics
from .encoder import SiteNetEncoder
from .layers import dense_stack

#: Losses of each prediction. Standardized targets have a standard deviation of 1.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": lambda prediction, target: functional.mse_loss(prediction, target, reduction="none"),
    "absolute_error": lambda prediction, target: functional.l1_loss(prediction, target, reduction="none"),
    "huber": lambda prediction, target: functional.smooth_l1_loss(prediction, target, reduction="none"),
    # Of logits (K, n_classes) for class numbers (K, 1).
    "cross_entropy": lambda prediction, target: functional.cross_entropy(
        prediction, target[:, 0].long(), reduction="none"
    )[:, None],
}


def trelu(x: Tensor) -> Tensor:
    """max(x, 0) with the gradient of x, so that predictions below 0 still learn (Site-Net's TReLU)."""
    return x + (x.clamp(min=0) - x).detach()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "trelu": trelu,
    "softplus": functional.softplus,
}


def embed(encoder: SiteNetEncoder, batch: Batch, representation: str) -> Tensor:
    """Vectors of the crystals: "global" (n_components), "local" (2 local_dim: mean and std over sites) or "both"."""
    return vectors_of(encoder, batch, encoder.local_mean(batch), representation)


def vectors_of(encoder: SiteNetEncoder, batch: Batch, local: Tensor, representation: str) -> Tensor:
    """The vectors of :func:`embed` from the means of the local vectors (C, local_dim)."""
    parts = []
    if representation in ("global", "both"):
        parts.append(encoder.pool(batch, local).mean)
    if representation in ("local", "both"):
        parts.append(operations.crystal_moments(local, batch))
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def embedding_width(encoder: SiteNetEncoder, representation: str) -> int:
    """Columns of :func:`embed`."""
    widths = {"global": encoder.n_components, "local": 2 * encoder.local_dim}
    widths["both"] = sum(widths.values())
    return widths[representation]


class SiteNet(nn.Module):
    """Encoder and head, which predict targets in the units of the labels.

    Parameters
    ----------
    encoder : dict
        Parameters of :class:`SiteNetEncoder`.
    target_mean, target_scale : sequence of float
        Of the labels; they convert the output of the head, which works on standardized targets, into labels' units.
    hidden_layer_sizes : tuple of int
    output_activation : {"identity", "trelu", "softplus"}
        Acts in the labels' units.
    representation : {"global", "local", "both"}
        Inputs of the head.
    head_norm : bool, default=True
        Whether layer normalization follows the hidden layers of the head.
    statistics : bool, default=False
        Whether the statistics of the structure (:func:`crystal_statistics`) are inputs of the head as well.
    """

    feature_mean: Tensor
    feature_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(
        self,
        encoder,
        target_mean,
        target_scale,
        hidden_layer_sizes,
        output_activation,
        representation,
        head_norm=True,
        statistics=False,
    ):
        super().__init__()
        self.encoder = SiteNetEncoder(**encoder)
        self.output_activation = output_activation
        self.representation = representation
        self.statistics = statistics
        width = embedding_width(self.encoder, representation)
        if statistics:
            width += 2 * (2 * encoder["n_site_inputs"] + len(GEOMETRY))
        # Vectors of untrained and pre-trained encoders differ much in size: the head gets them standardized over the
        # training crystals, by numbers that are fixed before the first step.
        self.register_buffer("feature_mean", torch.zeros(width))
        self.register_buffer("feature_scale", torch.ones(width))
        self.register_buffer("target_mean", torch.as_tensor(target_mean, dtype=torch.float32))
        self.register_buffer("target_scale", torch.as_tensor(target_scale, dtype=torch.float32))
        self.head = dense_stack(width, hidden_layer_sizes, len(self.target_mean), norm=head_norm)

    def features(self, batch: Batch) -> Tensor:
        """Inputs of the head before standardization: vectors and, with ``statistics``, statistics (K, width)."""
        vectors = embed(self.encoder, batch, self.representation)
        return torch.cat([vectors, crystal_statistics(batch)], dim=1) if self.statistics else vectors

    def standardise_features(self, vectors: Tensor, weight: Tensor) -> None:
        """Fix the standardization of the head's inputs to vectors of the training crystals with weights (K,)."""
        share = weight / weight.sum()
        mean = share @ vectors
        self.feature_mean.copy_(mean)
        scale = (share @ (vectors - mean).square()).sqrt()
        # Dividing a constant component by its rounding noise would amplify that.
        self.feature_scale.copy_(torch.where(scale > 1e-3 * scale.max().clamp(min=1e-12), scale, scale.max() + 1e-12))

    def forward(self, batch: Batch, generator=None) -> Tensor:
        """Predictions (K, n_targets); ``generator`` is not used, as nothing is random."""
        output = self.head((self.features(batch) - self.feature_mean) / self.feature_scale)
        return ACTIVATIONS[self.output_activation](torch.addcmul(self.target_mean, output, self.target_scale))

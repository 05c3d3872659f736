"""The loss of the supervised Site-Nets: a weighted mean over the known targets of a batch."""

from __future__ import annotations

import torch

from ..nn.sitenet import LOSSES


class WeightedLoss(torch.nn.Module):
    """Loss of standardised targets, averaged over the known targets of a batch with sample weights.

    Parameters
    ----------
    loss : str
        A key of ``LOSSES``.
    scale : array of shape (n_targets,)
        Standard deviation of each target.
    """

    scale: torch.Tensor

    def __init__(self, loss, scale):
        super().__init__()
        self.loss = loss  # by name: lambdas cannot be pickled
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, prediction, targets):
        """Weighted mean loss of predictions (K, n_outputs) for :class:`Targets` of K crystals, NaN where unknown."""
        known = torch.isfinite(targets.y)
        weight = targets.weight[:, None] * known
        # NaN must not reach the loss: a product with 0 would leave its gradient NaN.
        target = torch.where(known, targets.y, 0.0) / self.scale
        return (LOSSES[self.loss](prediction / self.scale, target) * (weight / weight.sum())).sum()

"""The loss of the supervised Site-Net: a weighted mean over the crystals of a batch."""

from __future__ import annotations

import torch

from ..nn.sitenet import LOSSES


class WeightedLoss(torch.nn.Module):
    """Loss of standardised targets, averaged over a batch with sample weights.

    Parameters
    ----------
    loss : str
        A key of ``LOSSES``.
    scale : array of shape (n_targets,)
        Standard deviation of each target.
    """

    def __init__(self, loss, scale):
        super().__init__()
        self.loss = loss  # by name: lambdas cannot be pickled
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, prediction, targets):
        """Weighted mean loss of predictions (K, n_targets) for :class:`Targets` of K crystals."""
        per_crystal = LOSSES[self.loss](prediction / self.scale, targets.y / self.scale).mean(dim=1)
        return (targets.weight * per_crystal).sum() / targets.weight.sum()

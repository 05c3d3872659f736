"""Units of the targets: between labels in double precision and what the network computes in single precision."""

from __future__ import annotations

import numpy as np
import torch

from .._training.batches import Targets

#: Smallest standard deviation and largest absolute value of targets in single precision, with a margin for their
#: squares and gradients.
_MIN_STD, _MAX_VALUE = 1e-30, 1e30


class TargetScaling:
    """Convert targets to the network's numbers and its predictions back to the units of the targets.

    The network predicts ``y - offset`` in single precision; its head works on targets standardised by ``mean`` and
    ``scale``.

    Parameters
    ----------
    keeps_zero : bool
        Whether ``offset`` must be 0, as for output activations, which depend on the zero of the targets. Otherwise it
        is their mean, so that a large common value does not reduce the precision of their differences.
    standardize : bool, default=True
        Whether there is an offset, a mean and a scale. Otherwise they are 0, 0 and 1.

    Attributes
    ----------
    offset, mean, scale : ndarray of float64 of shape (n_targets,)
        Subtracted offset; mean and standard deviation of the known training targets after subtraction.
    """

    def __init__(self, keeps_zero, standardize=True):
        self.keeps_zero = keeps_zero
        self.standardize = standardize

    @property
    def n_targets(self):
        return len(self.scale)

    def fit(self, y, weight):
        """Compute offset, mean and scale of weighted training targets of shape (n,) or (n, n_targets).

        Raises
        ------
        ValueError
            If a target has no known value.
        """
        targets = y.reshape(len(y), -1)
        known = ~np.isnan(targets)
        if unknown := np.flatnonzero(~known.any(axis=0)).tolist():
            raise ValueError(
                f"y has no known value in columns {unknown} of the training crystals: remove these targets"
            )
        weights = np.where(known, weight[:, None], 0.0)
        targets = np.where(known, targets, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(targets, axis=0, weights=weights)
            scale = np.sqrt(np.average((targets - mean) ** 2, axis=0, weights=weights))
        if not self.standardize:
            mean, scale = np.zeros_like(mean), np.ones_like(scale)
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0  # constant except for rounding
        self.offset = np.zeros_like(mean) if self.keeps_zero else mean
        self.mean, self.scale = mean - self.offset, scale
        return self

    def pack(self, y, weight):
        """Targets and weights for training, in single precision; NaN stays where a target is unknown.

        Raises
        ------
        ValueError
            If targets are too large, or their deviations too small, for single precision.
        """
        targets = y.reshape(len(y), -1) - self.offset
        largest = np.nanmax(np.abs(targets[weight > 0]))
        if not (largest < _MAX_VALUE and (self.scale > _MIN_STD).all()):
            raise ValueError(
                f"y has values up to {largest:.3g} and a standard deviation of {self.scale.min():.3g}; networks "
                f"compute in single precision, which needs values below {_MAX_VALUE:g} and deviations above "
                f"{_MIN_STD:g}: pass y in other units"
            )
        return Targets(*(torch.from_numpy(values.astype(np.float32)) for values in (targets, weight)))

    def invert(self, predictions):
        """Predictions (n, n_targets) of the network in the units of y, of shape (n,) for a single target."""
        y = predictions + self.offset
        return y[:, 0] if self.n_targets == 1 else y

"""Classes of labelled crystals: checks, weights, and what the network is trained on."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight

from .._regressor.checks import relative_weight
from .._training.batches import Targets

#: Smallest share of a class for which training starts.
_MIN_SHARE = 1e-6


def class_weighted(weight, class_weight, classes, codes):
    """Sample weights times the weights of the classes, divided by the largest.

    Parameters
    ----------
    weight : ndarray of float64 of shape (n,)
        Sample weights.
    class_weight : dict, "balanced" or None
        "balanced" gives all classes the same sum of weights.
    classes : ndarray of shape (n_classes,)
    codes : ndarray of int of shape (n,)
        Index of the class of each sample.
    """
    if class_weight is None:
        return weight
    if class_weight == "balanced":
        factors = 1 / np.bincount(codes, weights=weight)
    else:
        factors = compute_class_weight(class_weight, classes=classes, y=classes[codes])
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise ValueError(f"class_weight must be positive numbers; got {class_weight}")
    return relative_weight(weight * factors[codes])


class ClassPriors:
    """What the network is trained on: class numbers, from logits that start at the shares of the classes.

    Has the interface of :class:`TargetScaling`.

    Parameters
    ----------
    n_classes : int
    standardize : bool, default=True
        Whether training starts from the shares of the classes. Otherwise it starts from equal shares.

    Attributes
    ----------
    mean : ndarray of float64 of shape (n_classes,)
        Added to the output of the head: logarithms of the shares of the classes.
    scale : ndarray of float64 of shape (1,)
        Factor on the output of the head: 1.
    """

    def __init__(self, n_classes, standardize=True):
        self.n_classes = n_classes
        self.standardize = standardize

    def fit(self, codes, weight):
        """Compute the shares of the classes in weighted training samples of class numbers (n,)."""
        share = np.bincount(codes, weights=weight, minlength=self.n_classes) / weight.sum()
        log_share = np.log(np.maximum(share, _MIN_SHARE))
        self.mean = log_share - log_share.mean() if self.standardize else np.zeros(self.n_classes)
        self.scale = np.ones(1)
        return self

    def pack(self, codes, weight):
        """Class numbers, of shape (n, 1), and weights for training."""
        return Targets(*(torch.from_numpy(values.astype(np.float32)) for values in (codes[:, None], weight)))

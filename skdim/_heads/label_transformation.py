"""Transformations of labels to a distribution that is closer to normal, and the choice among them."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import boxcox, inv_boxcox
from sklearn.preprocessing import PowerTransformer

NAMES = ("identity", "log", "yeo-johnson")


class LabelTransformation:
    """A monotonic transformation of labels and its inverse.

    Parameters
    ----------
    name : {"identity", "log", "yeo-johnson"}
    y : ndarray of shape (n_samples,)
        Labels, which determine the scale and power of Yeo-Johnson and the limits of the inverse.
    """

    def __init__(self, name, y):
        self.name = name
        self.scale, self.power = 1.0, 1.0
        if name == "log" and not (y > 0).all():
            raise ValueError(f"transformation 'log' needs positive labels; the smallest label is {y.min():g}")
        if name == "yeo-johnson":
            self.scale = float(np.abs(y).mean()) or 1.0
            self.power = _fitted_power(y / self.scale)
        self.limits = (-np.inf, np.inf)
        if name != "identity":
            width = np.ptp(y)
            low, high = y.min() - width, y.max() + width
            lowest = -np.inf if name == "log" and low <= 0 else float(self.transform(np.array(low)))
            self.limits = (lowest, float(self.transform(np.array(high))))

    def transform(self, y):
        """Transformed labels."""
        if self.name == "identity":
            return y
        if self.name == "log":
            return np.log(y)
        y = y / self.scale
        above = boxcox(np.maximum(y, 0) + 1, self.power)
        return np.where(y >= 0, above, -boxcox(1 - np.minimum(y, 0), 2 - self.power))

    def inverse_transform(self, z):
        """Labels of transformed labels, which are clipped to the limits."""
        if self.name == "identity":
            return z
        z = np.clip(z, *self.limits)
        if self.name == "log":
            return np.exp(z)
        above = inv_boxcox(np.maximum(z, 0), self.power) - 1
        return self.scale * np.where(z >= 0, above, 1 - inv_boxcox(-np.minimum(z, 0), 2 - self.power))

    def log_likelihood(self, y):
        """Log-likelihood of labels, up to a constant, where the transformed labels are normally distributed.

        Maximised over mean and variance, with the density of the labels themselves, and less log(n) / 2 for a fitted
        power.
        """
        variance = np.var(self.transform(y))
        if self.name == "identity":
            log_slope, penalty = 0.0, 0.0
        elif self.name == "log":
            log_slope, penalty = -np.log(y).sum(), 0.0
        else:
            y = y / self.scale
            log_slope = (self.power - 1) * (np.sign(y) * np.log1p(np.abs(y))).sum() - len(y) * np.log(self.scale)
            penalty = np.log(len(y)) / 2
        return float(-len(y) / 2 * np.log(variance) + log_slope - penalty)


def available_transformations(y):
    """Names of the transformations that make sense for these labels.

    "log" needs positive labels. If more than a tenth of the labels are equal, no power brings them closer to a normal
    distribution.
    """
    _, counts = np.unique(y, return_counts=True)
    if len(counts) < 3 or counts.max() > max(2, len(y) / 10):
        return ["identity"]
    return [name for name in NAMES if name != "log" or (y > 0).all()]


def choose_transformation(y, name="auto"):
    """The transformation of a name, or with "auto" that of the largest penalised likelihood.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    name : {"auto", "identity", "log", "yeo-johnson"}

    Returns
    -------
    transformation : LabelTransformation
    log_likelihoods : dict of str to float
        Of the transformations that were compared.

    Raises
    ------
    ValueError
        With "log", if a label is not positive.
    """
    if name != "auto":
        return LabelTransformation(name, y), {}
    transformations = {each: LabelTransformation(each, y) for each in available_transformations(y)}
    if len(transformations) == 1:
        return transformations["identity"], {}
    likelihoods = {each: transformation.log_likelihood(y) for each, transformation in transformations.items()}
    return transformations[max(likelihoods, key=lambda each: likelihoods[each])], likelihoods


def _fitted_power(y):
    """Power of Yeo-Johnson that makes the labels closest to normally distributed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflow of powers that are tried
        return float(PowerTransformer(standardize=False).fit(y[:, None]).lambdas_[0])

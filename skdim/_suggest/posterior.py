"""The posterior of a Gaussian process on candidates, conditioned on candidates whose labels are not known yet."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.pipeline import Pipeline

from .._heads.block_gaussian_process import BlockGaussianProcessRegressor
from .._similarity.applicability_domain import ApplicabilityDomain


def split_model(model):
    """Steps before the final estimator of nested Pipelines, and that estimator."""
    steps = []
    while isinstance(model, Pipeline):
        # A domain would only warn of candidates that are unlike the training set, which are welcome.
        passing = (None, "passthrough")
        steps += [s for _, s in model.steps[:-1] if s not in passing and not isinstance(s, ApplicabilityDomain)]
        model = model.steps[-1][1]
    return steps, model


def posterior_of(model, X, rows):
    """Posterior of the Gaussian process that a model ends in.

    Parameters
    ----------
    model : fitted estimator
    X : Crystals or array of features
        The candidates.
    rows : ndarray of int of shape (n_reference,)
        Candidates whose total variance is watched.

    Returns
    -------
    Posterior or None
        None if the model does not end in a Gaussian process with one target.
    """
    steps, process = split_model(model)
    if isinstance(process, BlockGaussianProcessRegressor):
        steps, process = [*steps, _Standardise(process)], process.gaussian_process_
    if not isinstance(process, GaussianProcessRegressor) or np.ndim(process.y_train_) > 1:
        return None
    for step in steps:
        X = step.transform(X)
    return Posterior(process, np.asarray(X, dtype=float), rows)


class Posterior:
    """Means, variances and covariances of the noise-free labels of candidates.

    A label to be measured changes variances and covariances by an amount that does not depend on its value.

    Parameters
    ----------
    process : fitted GaussianProcessRegressor
    Z : ndarray of float of shape (n_candidates, n_columns)
        Inputs of the process.
    rows : ndarray of int of shape (n_reference,)
        Candidates whose total variance is watched.

    Attributes
    ----------
    features : ndarray of shape (n_candidates, n_columns)
    train_features : ndarray of shape (n_train, n_columns)
    mean : ndarray of shape (n_candidates,)
        In the units of the labels.
    variance : ndarray of shape (n_candidates,)
        In the units of the kernel, without noise.
    """

    def __init__(self, process, Z, rows):
        self.features, self.train_features = Z, process.X_train_
        kernel = process.kernel_
        self._kernel = kernel
        self._weights = solve_triangular(process.L_, kernel(process.X_train_, Z), lower=True)
        self.mean, std = process.predict(Z, return_std=True)
        # The diagonal includes noise, a kernel of two sets of rows does not.
        self._noise = float(kernel.diag(Z[:1])[0] - kernel(Z[:1], Z[:1])[0, 0])
        prior = kernel.diag(Z) - self._noise
        self.variance = np.maximum(prior - np.einsum("ij,ij->j", self._weights, self._weights), 0.0)
        with_noise = np.sqrt(self.variance + self._noise)
        #: Labels per unit of the kernel.
        self.scale = float(np.median(std / np.maximum(with_noise, np.finfo(float).tiny)))
        self._reference = kernel(Z[rows], Z) - self._weights[:, rows].T @ self._weights

    @property
    def std(self):
        """Standard deviations without noise, in the units of the labels."""
        return self.scale * np.sqrt(self.variance)

    @property
    def reductions(self):
        """How much a label of each candidate reduces the total variance of the watched candidates."""
        return (self._reference**2).sum(axis=0) / np.maximum(self.variance + self._noise, np.finfo(float).tiny)

    def condition(self, row):
        """Account for a label of this candidate."""
        covariance = self._kernel(self.features[row : row + 1], self.features)[0]
        covariance -= self._weights[:, row] @ self._weights
        total = np.sqrt(self.variance[row] + self._noise)
        new = covariance / max(total, np.finfo(float).tiny)
        self._reference -= np.outer(self._reference[:, row] / max(total, np.finfo(float).tiny), new)
        self._weights = np.vstack([self._weights, new])
        self.variance = np.maximum(self.variance - new**2, 0.0)


class _Standardise:
    """The columns as a BlockGaussianProcessRegressor passes them to its process."""

    def __init__(self, regressor):
        self._regressor = regressor

    def transform(self, X):
        return self._regressor._standardise(np.asarray(X, dtype=float))

"""A kernel with a Matern term for each block of columns, and noise."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

_BOUNDS = (1e-8, 1e8)


class BlockKernel(Kernel):
    """Sum of one Matern 3/2 kernel per block of columns, and white noise.

    k(x, x') = sum over blocks b of variances[b] * matern(distance over the columns of b / lengths[b]) + noise.

    Distances between training rows are computed once: repeated calls with the same X only change hyperparameters.

    Parameters
    ----------
    blocks : sequence of ndarray of int
        Columns of each block.
    variances, lengths : array-like of shape (n_blocks,)
        Variance and length of each block.
    noise : float
        Variance of the noise.
    noise_scale : ndarray of shape (n_rows,), default=None
        Factor on the noise of each training row; None stands for 1.
    """

    def __init__(self, blocks, variances, lengths, noise, noise_scale=None):
        self.blocks = blocks
        self.variances = variances
        self.lengths = lengths
        self.noise = noise
        self.noise_scale = noise_scale
        self.forget_distances()

    # scikit-learn finds hyperparameters by these names, and sorts them alphabetically: lengths, noise, variances.

    @property
    def hyperparameter_lengths(self):
        return Hyperparameter("lengths", "numeric", _BOUNDS, len(self.blocks))

    @property
    def hyperparameter_noise(self):
        return Hyperparameter("noise", "numeric", _BOUNDS)

    @property
    def hyperparameter_variances(self):
        return Hyperparameter("variances", "numeric", _BOUNDS, len(self.blocks))

    def forget_distances(self):
        """Free the memory of the distances between training rows."""
        self._rows, self._distances = None, None

    def __call__(self, X, Y=None, eval_gradient=False):
        """Kernel matrix; with ``eval_gradient`` also its gradient by the logarithms of the hyperparameters.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
        Y : ndarray of shape (n_other_rows, n_columns), default=None
            None stands for X, and adds the noise to the diagonal.
        eval_gradient : bool, default=False
            Requires Y to be None.

        Returns
        -------
        K : ndarray of shape (n_rows, n_rows) or (n_rows, n_other_rows)
        gradient : ndarray of shape (n_rows, n_rows, 2 * n_blocks + 1)
            Only with ``eval_gradient``.
        """
        if eval_gradient and Y is not None:
            raise ValueError("the gradient can only be evaluated for Y=None")
        n_blocks, distances = len(self.blocks), self._distances_between(X, Y)
        K = np.zeros(distances[0].shape)
        # One contiguous matrix per hyperparameter.
        gradient = np.zeros((2 * n_blocks + 1, *K.shape) if eval_gradient else 0)
        for block, distance in enumerate(distances):
            variance, length = np.atleast_1d(self.variances)[block], np.atleast_1d(self.lengths)[block]
            scaled = distance * (np.sqrt(3.0) / length)
            decay = np.exp(-scaled)
            decay *= variance
            term = decay * (1.0 + scaled)
            K += term
            if eval_gradient:
                scaled *= scaled
                np.multiply(scaled, decay, out=gradient[block])
                gradient[n_blocks + 1 + block] = term
        if Y is None:
            noise = self._noise(len(X))
            K.flat[:: len(X) + 1] += noise
            if eval_gradient:
                gradient[n_blocks].flat[:: len(X) + 1] = noise
        return (K, np.moveaxis(gradient, 0, -1)) if eval_gradient else K

    def diag(self, X):
        """Diagonal of the kernel matrix for new rows, with unscaled noise, ndarray of shape (n_rows,)."""
        return np.full(len(X), np.sum(self.variances) + self.noise)

    def is_stationary(self):
        """Whether the kernel depends only on differences of rows."""
        return True

    def _noise(self, n_rows):
        return np.full(n_rows, self.noise) if self.noise_scale is None else self.noise * self.noise_scale

    def _distances_between(self, X, Y):
        if Y is not None:
            return [cdist(X[:, block], Y[:, block]) for block in self.blocks]
        if self._rows is not X:
            self._rows, self._distances = X, [cdist(X[:, block], X[:, block]) for block in self.blocks]
        return self._distances

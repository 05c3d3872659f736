"""BlockGaussianProcessRegressor: a Gaussian process with a length and a variance for each block of columns."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from .block_kernel import BlockKernel
from .blocks import find_blocks


class BlockGaussianProcessRegressor(RegressorMixin, BaseEstimator):
    """Gaussian process regression on several sources of features, for 50 to a few thousand labels.

    The kernel is the sum of a Matern 3/2 kernel for each block of columns (statistics, vectors of an encoder), with
    separate variances and lengths, and noise. The hyperparameters maximise the marginal likelihood times log-normal
    priors (maximum a posteriori). The priors prevent over-fitting of the kernel with 50 labels; a block that does not
    help gets a small variance. Columns are standardised and clipped; labels are standardised.

    Parameters
    ----------
    blocks : dict of str to (slice, list of int, or list of str), default=None
        Columns of each block. None takes the prefixes of DataFrame columns such as "statistics__volume", which
        ColumnTransformer and FeatureUnion make with ``set_output(transform="pandas")``; without such names all columns
        are one block.
    length_prior : tuple of two floats, default=(2.0, 0.5)
        Median of the length of a block, in units of the square root of its number of columns, and standard deviation of
        the logarithm.
    variance_prior : tuple of two floats, default=(5.0, 1.5)
        Median of the variance of a block times the number of blocks, in units of the variance of the labels, and
        standard deviation of the logarithm.
    noise_prior : tuple of two floats, default=(0.1, 1.0)
        Median of the variance of the noise, in units of the variance of the labels, and standard deviation of the
        logarithm.
    clip : float, default=8.0
        Maximum deviation of a column from its mean, in standard deviations.
    max_iter : int, default=100
        Maximum number of iterations of L-BFGS.

    Attributes
    ----------
    blocks_ : dict of str to ndarray of int
        Columns of each block.
    variances_, lengths_ : dict of str to float
        Fitted variance and length of each block, in units of the variance of the labels and of standardised columns.
    noise_ : float
        Fitted variance of the noise, in units of the variance of the labels.
    shares_ : dict of str to float
        Fraction of the variance that each block, and "noise", contributes; they sum to 1.
    log_marginal_likelihood_ : float
        Of the standardised labels, with the fitted hyperparameters.
    n_iter_ : int
        Iterations of L-BFGS.
    gaussian_process_ : GaussianProcessRegressor
        scikit-learn's fitted Gaussian process, on standardised columns.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the columns, if X is a DataFrame.

    See Also
    --------
    sklearn.gaussian_process.GaussianProcessRegressor : With any kernel, without priors.

    Notes
    -----
    Time grows with the cube of the number of labels: 1000 labels take seconds, 5000 minutes.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from skdim import BlockGaussianProcessRegressor, CompositionStatistics, SiteNetFeaturizer, StructureStatistics
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(60, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> features = make_union(CompositionStatistics(), StructureStatistics())
    >>> model = make_pipeline(features, BlockGaussianProcessRegressor()).set_output(transform="pandas")
    >>> _ = model.fit(X[:40], y[:40])
    >>> list(model[-1].shares_)
    ['compositionstatistics', 'structurestatistics', 'noise']
    >>> mean, std = model.predict(X[40:], return_std=True)
    >>> mean.shape, std.shape
    ((20,), (20,))
    """

    _parameter_constraints: ClassVar[dict] = {
        "blocks": [dict, None],
        "length_prior": [tuple, list],
        "variance_prior": [tuple, list],
        "noise_prior": [tuple, list],
        "clip": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        blocks=None,
        *,
        length_prior=(2.0, 0.5),
        variance_prior=(5.0, 1.5),
        noise_prior=(0.1, 1.0),
        clip=8.0,
        max_iter=100,
    ) -> None:
        self.blocks = blocks
        self.length_prior = length_prior
        self.variance_prior = variance_prior
        self.noise_prior = noise_prior
        self.clip = clip
        self.max_iter = max_iter

    def fit(self, X, y, sample_weight=None) -> Self:
        """Fit the hyperparameters and the Gaussian process.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Features, finite.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Relative precision of the labels: the variance of the noise of a label is divided by its weight, where
            weights are scaled to the mean 1. Samples of weight 0 are ignored.

        Returns
        -------
        self : BlockGaussianProcessRegressor
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        noise_scale = None
        if sample_weight is not None:
            sample_weight = check_array(sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
            if sample_weight.ndim != 1:
                raise ValueError(f"sample_weight must have one dimension; got {sample_weight.ndim}")
            check_consistent_length(X, sample_weight)
            used = sample_weight > 0
            if not used.any() or (sample_weight < 0).any():
                raise ValueError("sample_weight must be positive or zero, and not zero for all samples")
            X, y, sample_weight = X[used], y[used], sample_weight[used]
            noise_scale = sample_weight.mean() / sample_weight
        self.blocks_ = find_blocks(self.blocks, X.shape[1], getattr(self, "feature_names_in_", None))
        self._mean, self._scale = X.mean(axis=0), X.std(axis=0)
        self._scale[self._scale <= 1e-12 * np.abs(self._mean)] = np.inf  # constant columns become 0
        median, sigma = self._priors()
        n_blocks = len(self.blocks_)
        kernel = BlockKernel(
            tuple(self.blocks_.values()),
            variances=np.exp(median[n_blocks + 1 :]),
            lengths=np.exp(median[:n_blocks]),
            noise=float(np.exp(median[n_blocks])),
            noise_scale=noise_scale,
        )

        def maximise_posterior(negative_likelihood, start, bounds):
            def objective(theta):
                value, gradient = negative_likelihood(theta)
                deviation = (theta - median) / sigma
                return value + 0.5 * deviation @ deviation, gradient + deviation / sigma

            options = {"maxiter": self.max_iter, "ftol": 1e-6}
            result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            self.n_iter_ = int(result.nit)
            if result.nit >= self.max_iter:
                warnings.warn(
                    f"the hyperparameters did not converge in max_iter={self.max_iter} iterations",
                    ConvergenceWarning,
                    stacklevel=4,
                )
            return result.x, negative_likelihood(result.x)[0]

        process = GaussianProcessRegressor(
            kernel, optimizer=maximise_posterior, normalize_y=True, copy_X_train=False
        ).fit(self._standardise(X), y)
        process.kernel_.forget_distances()
        process.optimizer = None  # the function above cannot be pickled
        self._keep(process)
        return self

    def predict(self, X, return_std=False) -> Any:
        """Predict the labels of new samples.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations as well.

        Returns
        -------
        mean : ndarray of shape (n_samples,)
            In the units of the labels.
        std : ndarray of shape (n_samples,)
            Standard deviation of a label of weight 1, noise included. Only with ``return_std``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.gaussian_process_.predict(self._standardise(X), return_std=return_std)

    def _priors(self):
        """Medians of the hyperparameters and standard deviations, as logarithms in the order of the kernel's theta."""
        for name in ("length_prior", "variance_prior", "noise_prior"):
            prior = getattr(self, name)
            if len(prior) != 2 or not all(isinstance(value, Real) and 0 < float(value) < np.inf for value in prior):
                raise ValueError(f"{name} must be two positive numbers, median and deviation; got {prior!r}")
        n_blocks = len(self.blocks_)
        lengths = self.length_prior[0] * np.sqrt([len(columns) for columns in self.blocks_.values()])
        median = np.log([*lengths, self.noise_prior[0], *[self.variance_prior[0] / n_blocks] * n_blocks])
        sigma = [*[self.length_prior[1]] * n_blocks, self.noise_prior[1], *[self.variance_prior[1]] * n_blocks]
        return median, np.array(sigma)

    def _standardise(self, X):
        return np.clip((X - self._mean) / self._scale, -self.clip, self.clip)

    def _keep(self, process):
        kernel = process.kernel_
        self.gaussian_process_ = process
        self.variances_ = dict(zip(self.blocks_, np.atleast_1d(kernel.variances).tolist(), strict=True))
        self.lengths_ = dict(zip(self.blocks_, np.atleast_1d(kernel.lengths).tolist(), strict=True))
        self.noise_ = float(np.ravel(kernel.noise)[0])
        total = sum(self.variances_.values()) + self.noise_
        self.shares_ = {name: value / total for name, value in {**self.variances_, "noise": self.noise_}.items()}
        self.log_marginal_likelihood_ = float(process.log_marginal_likelihood_value_)

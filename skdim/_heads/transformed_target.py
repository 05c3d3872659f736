"""AutoTransformedTargetRegressor: a transformation of the labels that is chosen from the labels."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted, column_or_1d

from .block_gaussian_process import BlockGaussianProcessRegressor
from .label_transformation import choose_transformation
from .standard_deviation import predict_with_std

#: Nodes and weights of Gauss-Hermite quadrature over a standard normal distribution.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class AutoTransformedTargetRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """Regressor on transformed labels, with the transformation chosen from the labels.

    Labels that span orders of magnitude, such as dielectric constants, are learned better as logarithms.
    ``transformation="auto"`` chooses what makes the labels closest to normally distributed: the largest likelihood of a
    normal distribution of the transformed labels, in the units of the labels, with Schwarz's penalty of log(n) / 2 for
    the fitted power of "yeo-johnson". "log" is available only if all labels are positive, and labels of which more than
    a tenth are equal are not transformed. Predictions are in the units of the labels.

    Parameters
    ----------
    regressor : estimator, default=None
        Regressor of the transformed labels; None takes a :class:`BlockGaussianProcessRegressor`.
    transformation : {"auto", "identity", "log", "yeo-johnson"}, default="auto"
        Yeo-Johnson transforms the labels divided by their mean absolute value, so that the unit does not matter.
    statistic : {"median", "mean"}, default="median"
        What to predict if the transformed label is normally distributed. The median minimises the absolute error. The
        mean minimises the squared error, and needs a regressor with ``return_std``.

    Attributes
    ----------
    transformation_ : {"identity", "log", "yeo-johnson"}
        The transformation in use.
    lambda_ : float
        Power of Yeo-Johnson; only if it is in use.
    log_likelihoods_ : dict of str to float
        Penalised log-likelihood of each transformation that was compared; only with "auto".
    regressor_ : estimator
        Fitted to the transformed labels.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the columns, if X is a DataFrame.

    See Also
    --------
    sklearn.compose.TransformedTargetRegressor : With any transformation, without standard deviations.
    TwoPartRegressor : For labels of which many are exactly 0.

    Notes
    -----
    Transformed predictions are limited so that no prediction is farther outside the range of the labels than the width
    of that range. With "identity" there is no limit.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim import AutoTransformedTargetRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3))
    >>> y = np.exp(2 * X[:, 0] + 0.1 * rng.normal(size=60))
    >>> model = AutoTransformedTargetRegressor().fit(X, y)
    >>> model.transformation_
    'log'
    >>> median, std = model.predict(X, return_std=True)
    >>> bool((median > 0).all())
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "regressor": [HasMethods(["fit", "predict"]), None],
        "transformation": [StrOptions({"auto", "identity", "log", "yeo-johnson"})],
        "statistic": [StrOptions({"median", "mean"})],
    }

    def __init__(self, regressor=None, *, transformation="auto", statistic="median") -> None:
        self.regressor = regressor
        self.transformation = transformation
        self.statistic = statistic

    def fit(self, X, y, **fit_params) -> Self:
        """Choose the transformation and fit the regressor.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels, finite.
        **fit_params : dict
            Passed to ``fit`` of the regressor, such as ``sample_weight``.

        Returns
        -------
        self : AutoTransformedTargetRegressor
        """
        self._validate_params()
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        if not np.isfinite(y).all():
            raise ValueError("Input y contains NaN or infinity")
        self._transformation, likelihoods = choose_transformation(y, self.transformation)
        self.transformation_ = self._transformation.name
        for name in ("lambda_", "log_likelihoods_"):  # of an earlier fit
            if hasattr(self, name):
                delattr(self, name)
        if self.transformation_ == "yeo-johnson":
            self.lambda_ = self._transformation.power
        if self.transformation == "auto":
            self.log_likelihoods_ = likelihoods
        regressor = BlockGaussianProcessRegressor() if self.regressor is None else clone(self.regressor)
        self.regressor_ = regressor.fit(X, self._transformation.transform(y), **fit_params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.regressor_, name):
                setattr(self, name, getattr(self.regressor_, name))
        return self

    def predict(self, X, return_std=False) -> Any:
        """Predict the labels of new samples.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations as well; the regressor must have this parameter.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The ``statistic``, in the units of the labels.
        std : ndarray of shape (n_samples,)
            Half the distance between the 16th and the 84th percentile of the label, which is the standard deviation of
            a normal distribution. Only with ``return_std``.
        """
        check_is_fitted(self)
        inverse = self._transformation.inverse_transform
        if not return_std and self.statistic == "median":
            return inverse(self.regressor_.predict(X))
        mean, std = predict_with_std(self.regressor_, X)
        y = inverse(mean)
        if self.statistic == "mean":
            y = inverse(mean[:, None] + std[:, None] * _NODES) @ _WEIGHTS
        return (y, (inverse(mean + std) - inverse(mean - std)) / 2) if return_std else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        regressor = BlockGaussianProcessRegressor() if self.regressor is None else self.regressor
        if hasattr(regressor, "__sklearn_tags__"):
            tags.input_tags = regressor.__sklearn_tags__().input_tags
        return tags
